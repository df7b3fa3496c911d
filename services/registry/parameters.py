"""Parameters of a model: checked, and shown as Ollama shows them."""

from collections.abc import Mapping
from typing import Any

import orjson

from common.errors import InvalidRequest
from common.gotemplate.printing import to_text
from common.gotemplate.quoting import quote
from common.modelfile.parameters import single_values
from common.options import FLOATS, INTEGERS, WITHOUT_EFFECT, parse_options
from services.registry.documents import not_json

_KNOWN = INTEGERS | FLOATS | WITHOUT_EFFECT.keys() | {"stop"}


def parse_parameters(text: str) -> dict[str, Any]:
    """Read and check a JSON object of parameters; nulls are dropped.

    Raises:
        InvalidRequest: it is no JSON object, a name is unknown, or a value has the wrong type.
    """
    given = {
        name: value for name, value in parse_object("parameters", text).items() if value is not None
    }
    for name in given:
        if name not in _KNOWN:
            raise InvalidRequest(f"unknown parameter '{name}'")
    parse_options(given)
    return {name: _tidy(name, value) for name, value in given.items()}


def parse_object(name: str, text: str) -> dict[str, Any]:
    """Read a field of a request that is a JSON object, or empty.

    Raises:
        InvalidRequest: it is something else.
    """
    try:
        document = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{name}: {not_json(error)}") from error
    if not isinstance(document, dict):
        raise InvalidRequest(f"{name} must be a JSON object")
    return document


def show_parameters(parameters: Mapping[str, Any]) -> str:
    """Write the `parameters` text of Ollama's API: columns, with strings in quotes."""
    return "\n".join(
        f"{name:<30} {quote(value) if isinstance(value, str) else to_text(value)}"
        for name, value in single_values(parameters)
    )


def _tidy(name: str, value: Any) -> Any:
    """Give a value the one form in which it is kept."""
    if name == "stop" and isinstance(value, str):
        return [value]
    is_integer = name in INTEGERS or WITHOUT_EFFECT.get(name) is int
    return int(value) if is_integer else value
