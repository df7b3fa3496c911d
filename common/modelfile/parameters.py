"""The PARAMETERs of a Modelfile: texts there, typed values everywhere else."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from common.errors import InvalidRequest
from common.modelfile.instructions import Instruction, in_line
from common.options import FLOATS, INTEGERS, WITHOUT_EFFECT

Value = str | int | float | bool

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LARGEST_INTEGER = 2**63 - 1
_LARGEST_FLOAT = 3.4028234e38  # of 32 bits
_BOOLEANS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "false", "FALSE", "False"), False
)


def collect_parameters(instructions: Iterable[Instruction]) -> dict[str, Any]:
    """Read PARAMETERs; the texts of `stop` make one list.

    Raises:
        InvalidRequest: a name is unknown or a text is no value of its type; the message
            names the line.
    """
    parameters: dict[str, Any] = {}
    for found in instructions:
        if found.subject == "stop":
            parameters.setdefault(found.subject, []).append(found.text)
            continue
        with in_line(found.line):
            parameters[found.subject] = parse_parameter(found.subject, found.text)
    return parameters


def parse_parameter(name: str, text: str) -> Value:
    """Read the value of a parameter other than `stop`.

    Raises:
        InvalidRequest: the name is unknown or the text is no value of its type; the message
            is Ollama's.
    """
    if name in INTEGERS or WITHOUT_EFFECT.get(name) is int:
        return _integer(text)
    if name in FLOATS or WITHOUT_EFFECT.get(name) is float:
        return _float(text)
    if WITHOUT_EFFECT.get(name) is bool:
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        raise InvalidRequest(f"invalid bool value [{text}]")
    raise InvalidRequest(f"unknown parameter '{name}'")


def single_values(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    """List parameters one value at a time: a list's values stand under its name each.

    What a Modelfile has no form for, as nested lists, is left out.
    """
    for name, value in parameters.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str | int | float):
                yield name, item


def _integer(text: str) -> int:
    if _INTEGER.fullmatch(text) and len(text) <= len(f"+{_LARGEST_INTEGER}"):
        value = int(text)
        if -_LARGEST_INTEGER - 1 <= value <= _LARGEST_INTEGER:
            return value
    raise InvalidRequest(f"invalid int value [{text}]")


def _float(text: str) -> float:
    if _FLOAT.fullmatch(text) and abs(value := float(text)) <= _LARGEST_FLOAT:
        return value
    raise InvalidRequest(f"invalid float value [{text}]")
