"""The values that templates work on, and what Go would call their types.

str          string: Go's are bytes, so lengths and slices count those of UTF-8; bytes that
             are no UTF-8 are kept as lone surrogates (Python's `surrogateescape`)
bool, int, float, bytes, None
list, tuple  slices; a `NilSlice` is one that was never made
dict         maps with string keys, in the order of their keys
Bound        values of a named type
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping


class Bound(ABC):
    """A value of a named type. A map that is bound keeps the order of its keys."""

    __slots__ = ()

    type_name: str

    def own_text(self) -> str | None:
        """Give what printing it gives; None: its JSON."""
        return None

    @abstractmethod
    def json_value(self) -> object:
        """Give the plain value that stands for it in JSON; an object's order is kept."""

    def zero_element(self) -> object:
        """Give what a map has at a key that it lacks: the zero value of its elements' type."""
        return None


class Struct(Bound):
    """A value with a fixed set of fields: asking for another one is an error.

    A field's tag is its name in JSON, as Go would have it: `name`, `name,omitempty` (left out
    where its value is false), or `name,omitnil`. Without tags the fields keep their names.
    """

    __slots__ = ("fields", "tags", "type_name")

    def __init__(
        self, type_name: str, fields: Mapping[str, object], tags: Mapping[str, str] | None = None
    ) -> None:
        self.type_name = type_name
        self.fields = fields
        self.tags = tags

    def json_value(self) -> object:
        """Give its fields by the names of their tags."""
        if self.tags is None:
            return dict(self.fields)
        plain: dict[str, object] = {}
        for field, tag in self.tags.items():
            name, _, option = tag.partition(",")
            value = self.fields[field]
            left_out = (option == "omitempty" and not value) or (
                option == "omitnil" and is_nil(value)
            )
            if not left_out:
                plain[name] = value
        return plain


class NilSlice(list[object]):
    """A slice that was never made: empty, equal to `nil`, and `null` in JSON."""


_TYPE_NAMES: dict[type, str] = {
    str: "string",
    bool: "bool",
    int: "int",
    float: "float64",
    bytes: "[]uint8",
    list: "[]interface {}",
    NilSlice: "[]interface {}",
    tuple: "[]interface {}",
    dict: "map[string]interface {}",
    type(None): "nil",
}


def type_name(value: object) -> str:
    """Give the name of a value's type, as Go's messages have it."""
    if isinstance(value, Bound):
        return value.type_name
    return _TYPE_NAMES.get(type(value), type(value).__name__)


def is_nil(value: object) -> bool:
    """Tell whether a value equals `nil`."""
    return value is None or isinstance(value, NilSlice)


def items_in_order(value: dict[str, object]) -> list[tuple[str, object]]:
    """Give a map's items as `range` and printing meet them."""
    items = value.items()
    return list(items) if isinstance(value, Bound) else sorted(items)


def element(value: dict[str, object], key: str) -> object:
    """Give what a map has at a key, there or not."""
    if key in value:
        return value[key]
    return value.zero_element() if isinstance(value, Bound) else None


def encode(text: str) -> bytes:
    """Give the bytes of a string."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair: no character, in Go neither
        return text.encode("utf-8", "replace")


def decode(content: bytes) -> str:
    """Make a string of bytes."""
    return content.decode("utf-8", "surrogateescape")


def valid_text(text: str) -> str:
    """Make valid text of a string: bytes that fit together become characters, others U+FFFD."""
    return text if text.isascii() else encode(text).decode("utf-8", "replace")


def byte_length(text: str) -> int:
    """Give the length of a string in bytes."""
    return len(text) if text.isascii() else len(encode(text))


def slice_bytes(text: str, start: int, end: int) -> str:
    """Cut a string at byte positions."""
    return text[start:end] if text.isascii() else decode(encode(text)[start:end])


def joined(text: str) -> str:
    """Give a string with bytes that make a character joined to it."""
    return text if text.isascii() else decode(encode(text))
