"""Reading the JSON of tools and their calls, with the types that each field must have."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, TypeVar

from common.errors import InvalidRequest
from common.gotemplate.limits import MAXIMUM_DEPTH

_Kind = TypeVar("_Kind")


def parse_object(text: str, what: str) -> dict[str, Any]:
    """Parse a JSON object; its numbers are floating-point ones, as for Go.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        parsed = json.loads(text, parse_int=float, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"invalid {what}: {error}") from error
    if not isinstance(parsed, dict):
        raise InvalidRequest(f"invalid {what}: not a JSON object")
    return parsed


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class Fields:
    """The fields of a JSON object; one that is missing or null has the empty value of its type.

    Each method raises `InvalidRequest` where a value has another type.
    """

    def __init__(self, plain: Mapping[str, Any], path: str, depth: int = 0) -> None:
        if depth > MAXIMUM_DEPTH:
            raise InvalidRequest(f"invalid {path.partition('.')[0]}: nested too deeply")
        self._plain = plain
        self._path = path
        self._depth = depth

    def names(self) -> Iterable[str]:
        """Give the names of all fields, in their order."""
        return self._plain.keys()

    def value(self, name: str) -> object:
        """Give a value of any type."""
        found: object = self._plain.get(name)
        return found

    def text(self, name: str) -> str:
        """Give a string."""
        value = self._plain.get(name)
        return self._checked(name, "" if value is None else value, str, "a string")

    def items(self, name: str) -> list[Any]:
        """Give a list of anything."""
        value = self._plain.get(name)
        return self._checked(name, [] if value is None else value, list, "a list")

    def texts(self, name: str) -> list[object]:
        """Give a list of strings."""
        return [self._checked(name, each, str, "a list of strings") for each in self.items(name)]

    def text_or_texts(self, name: str) -> Iterable[str]:
        """Give the strings of a list, or the one that stands there instead."""
        value = self._plain.get(name)
        return [value] if isinstance(value, str) else map(str, self.texts(name))

    def nested(self, name: str) -> "Fields":
        """Give an object's fields."""
        value = self._plain.get(name)
        return self._fields(name, {} if value is None else value)

    def each_nested(self, name: str) -> Iterable["Fields"]:
        """Give the fields of a list's objects."""
        return [self._fields(name, each or {}) for each in self.items(name)]

    def _fields(self, name: str, value: object) -> "Fields":
        plain: dict[str, Any] = self._checked(name, value, dict, "an object")
        return Fields(plain, f"{self._path}.{name}", self._depth + 1)

    def _checked(self, name: str, value: object, kind: type[_Kind], described: str) -> _Kind:
        if not isinstance(value, kind):
            raise InvalidRequest(f"invalid {self._path}: {name} must be {described}")
        return value
