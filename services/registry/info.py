"""The `info` of a create request: what it says of a model beyond its files."""

from collections.abc import Callable
from typing import Any

from common.errors import InvalidRequest
from services.registry.capabilities import arrange
from services.registry.model_config import ModelConfig
from services.registry.parameters import parse_object


def parse_info(text: str) -> dict[str, Any]:
    """Read and check a JSON object; fields that mean nothing here are dropped.

    Raises:
        InvalidRequest: a field has the wrong type; the message is Ollama's.
    """
    given = {name: value for name, value in parse_object("info", text).items() if value is not None}
    for name in given.keys() & _CHECKS.keys():
        _CHECKS[name](name, given[name])
    return {name: given[name] for name in _CHECKS if name in given}


def apply_info(config: ModelConfig, info: dict[str, Any]) -> ModelConfig:
    """Lay the fields over a config blob; capabilities add up."""
    update = {_FIELDS.get(name, name): value for name, value in info.items()}
    if family := update.get("model_family"):
        update["model_families"] = (family,)
    if "capabilities" in update:
        update["capabilities"] = arrange({*config.capabilities, *update["capabilities"]})
    return config.model_copy(update=update)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidRequest(f'info field "{name}" must be a string')


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f'info field "{name}" must be a number')
    if value < 0 or value != int(value) or value >= 2**63:
        raise InvalidRequest(f'info field "{name}" must be a non-negative integer')


def _check_texts(name: str, value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidRequest(f'info field "{name}" must be a list of strings')


_CHECKS: dict[str, Callable[[str, object], None]] = {
    "capabilities": _check_texts,
    "model_family": _check_text,
    "base_name": _check_text,
    "quantization_level": _check_text,
    "parameter_size": _check_text,
    "context_length": _check_count,
    "embedding_length": _check_count,
}
_FIELDS = {"quantization_level": "file_type", "parameter_size": "model_type"}
