"""`think`: whether a model is to think before it answers, and how hard."""

from typing import Annotated

from pydantic import BeforeValidator

from common.errors import InvalidRequest
from gateway.body import dump_json
from protos.paddock.v1 import generation_pb2

_LEVELS = {
    "high": generation_pb2.THINK_HIGH,
    "medium": generation_pb2.THINK_MEDIUM,
    "low": generation_pb2.THINK_LOW,
    "max": generation_pb2.THINK_MAX,
}
_CHOICES = '"high", "medium", "low", "max", true, or false'


def parse_think(value: object) -> generation_pb2.Think.ValueType:
    """Read a boolean or a level.

    Raises:
        InvalidRequest: anything else; the message is Ollama's.
    """
    if isinstance(value, bool):
        return generation_pb2.THINK_ON if value else generation_pb2.THINK_OFF
    if not isinstance(value, str):
        raise InvalidRequest(f"think must be a boolean or string ({_CHOICES})")
    if value not in _LEVELS:
        raise InvalidRequest(f"invalid think value: {dump_json(value)} (must be {_CHOICES})")
    return _LEVELS[value]


Think = Annotated[generation_pb2.Think.ValueType, BeforeValidator(parse_think)]
"""See `parse_think`."""
