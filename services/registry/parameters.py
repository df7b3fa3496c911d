"""Parameters of a model: checked, merged, and shown as Ollama shows them."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from common.errors import InvalidRequest
from common.options import FLOATS, INTEGERS, WITHOUT_EFFECT, parse_options

_KNOWN = INTEGERS | FLOATS | WITHOUT_EFFECT.keys() | {"stop"}


def parse_parameters(text: str) -> dict[str, Any]:
    """Read and check a JSON object of parameters; nulls are dropped.

    Raises:
        InvalidRequest: it is no JSON object, a name is unknown, or a value has the wrong type.
    """
    try:
        document = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"parameters: {error}") from error
    if not isinstance(document, dict):
        raise InvalidRequest("parameters must be a JSON object")
    given = {name: value for name, value in document.items() if value is not None}
    for name in given:
        if name not in _KNOWN:
            raise InvalidRequest(f'unknown parameter "{name}"')
    parse_options(given)
    if isinstance(given.get("stop"), str):
        given["stop"] = [given["stop"]]
    return given


def parameter_lines(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """List parameters one value at a time: a list's values stand under its name each."""
    for name, value in parameters.items():
        for item in value if isinstance(value, list) else [value]:
            yield name, item


def show_parameters(parameters: Mapping[str, Any]) -> str:
    """Write the `parameters` text of Ollama's API: columns, with strings in quotes."""
    return "\n".join(f"{name:<30} {_quoted(value)}" for name, value in parameter_lines(parameters))


def format_value(value: Any) -> str:
    """Write a parameter's value as a Modelfile does."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        return orjson.dumps(value).decode()
    return format_value(value)
