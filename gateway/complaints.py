"""What is wrong with a request's body, in the words of Go's `encoding/json`.

Clients know these texts from Ollama. Rare cases get a text of the same kind: Go tells
apart, for instance, where in a number a wrong character stands.
"""

import json
import re
from typing import Any

from pydantic import ValidationError

UNEXPECTED_END = "unexpected EOF"

_NO_VALUE = "looking for beginning of value"
_PLACES = {
    "Expecting property name enclosed in double quotes": (
        "looking for beginning of object key string"
    ),
    "Expecting ':' delimiter": "after object key",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
}
_LITERALS = ("true", "false", "null")
_NOT_HEXADECIMAL = re.compile(r"[^0-9A-Fa-f]|$")
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
# Where a longer text goes wrong is not worth the time to find out.
_LONGEST_SEARCH = 100_000

_GO_TYPES = {
    "string_type": "string",
    "bool_type": "bool",
    "int_type": "int",
    "float_type": "float64",
    "list_type": "[]interface {}",
    "dict_type": "map[string]interface {}",
}


def syntax_complaint(error: json.JSONDecodeError) -> str:
    """Say where a text stops being JSON."""
    text, position, place = error.doc, error.pos, _PLACES.get(error.msg)
    if error.msg == "Expecting value":
        return _value_complaint(text, position)
    if error.msg == "Expecting ',' delimiter":
        place = f"after {_container(text[:position])}"
    elif error.msg == "Invalid \\escape":
        position += 1
    elif error.msg == "Invalid \\uXXXX escape":
        position = next(_NOT_HEXADECIMAL.finditer(text, position + 1)).start()
    if place is None or position >= len(text):
        return UNEXPECTED_END
    return f"invalid character {_quote(text[position])} {place}"


def constant_complaint(name: str) -> str:
    """Refuse NaN, Infinity and -Infinity, which are no JSON."""
    return _value_complaint(name, 0)


def _value_complaint(text: str, position: int) -> str:
    rest = text[position : position + max(map(len, _LITERALS))]
    if rest in ("", "-"):
        return UNEXPECTED_END
    if rest.startswith("-"):
        return f"invalid character {_quote(rest[1])} in numeric literal"
    for literal in _LITERALS:
        if rest[0] == literal[0]:
            return _literal_complaint(rest, literal)
    return f"invalid character {_quote(rest[0])} {_NO_VALUE}"


def _literal_complaint(text: str, literal: str) -> str:
    for found, wanted in zip(text, literal, strict=False):
        if found != wanted:
            expected = f"literal {literal} (expecting {_quote(wanted)})"
            return f"invalid character {_quote(found)} in {expected}"
    return UNEXPECTED_END


def _container(text: str) -> str:
    """Say what a text that breaks off behind a value is in the middle of."""
    if len(text) > _LONGEST_SEARCH:
        return "value"
    opened: list[str] = []
    for found in _STRUCTURE.findall(text):
        if found in "[{":
            opened.append(found)
        elif found in "]}":
            opened.pop()
    return "array element" if opened[-1] == "[" else "object key:value pair"


def _quote(character: str) -> str:
    """Quote the first byte of a character as Go does, which takes it for Latin-1."""
    shown = character.encode()[:1].decode("latin-1")
    return r"'\''" if shown == "'" else repr(shown)


def type_complaint(error: ValidationError, request: str) -> str:
    """Say which field of a request is of another type, or what a validator said."""
    first = error.errors(include_url=False)[0]
    wanted = _GO_TYPES.get(first["type"])
    if first["type"] == "model_type":
        wanted = f"api.{first['ctx']['class_name']}"
    path = ".".join(part for part in first["loc"] if isinstance(part, str))
    if wanted is None:
        message = first["msg"].removeprefix("Value error, ")
        return f"{path}: {message}" if path else message
    place = f"struct field {request}.{path}" if path else "value"
    wanted = wanted if path else f"api.{request}"
    given = _json_type(first["input"], wanted)
    return f"json: cannot unmarshal {given} into Go {place} of type {wanted}"


def _json_type(value: Any, wanted: str) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value}" if wanted == "int" else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
