"""The metadata of GGUF files: named values of a few types."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct

import numpy as np

from common.errors import InvalidModel
from services.registry.gguf.cursor import Cursor

MAX_ELEMENTS = 4_000_000  # of all arrays of a file; those of the largest vocabularies: 1.3 million
_MAX_KEY_SIZE = 65_535  # as in the specification
_SHOWN_KEY = 80

_UINT32, _UINT64 = Struct("<I"), Struct("<Q")
_FLOAT32, _BOOLEAN, _STRING, _ARRAY = 6, 7, 8, 9
_NUMBERS = {
    0: Struct("<B"),
    1: Struct("<b"),
    2: Struct("<H"),
    3: Struct("<h"),
    4: _UINT32,
    5: Struct("<i"),
    _FLOAT32: Struct("<f"),
    _BOOLEAN: Struct("<?"),
    10: _UINT64,
    11: Struct("<q"),
    12: Struct("<d"),
}


@dataclass(frozen=True, slots=True)
class Array:
    """A list of values of one type."""

    length: int
    values: tuple[str | int | float, ...] | None
    """None: they were passed over."""


Value = str | int | float | bool | Array


def read_entries(
    cursor: Cursor, count: int, keeps: Callable[[str], bool]
) -> Iterator[tuple[str, Value]]:
    """Read so many keys and values.

    Of arrays, the values are given only for keys that `keeps` wants. Texts that are no
    UTF-8 occur in vocabularies; what cannot be read of them becomes U+FFFD.

    Raises:
        Incomplete: more of the file has to be read first.
        InvalidModel: something is damaged.
    """
    elements = 0
    for _ in range(count):
        key = read_name(cursor, _MAX_KEY_SIZE)
        value = _read_value(cursor, key, MAX_ELEMENTS - elements, keep=keeps(key))
        if isinstance(value, Array):
            elements += value.length
        yield key, value


def read_name(cursor: Cursor, max_size: int) -> str:
    """Read the name of a key or a tensor, which has to be text.

    Raises:
        InvalidModel: it is none, or too long.
    """
    content = cursor.string()
    if len(content) > max_size:
        raise InvalidModel(f"damaged GGUF header: a name of {len(content)} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InvalidModel("damaged GGUF header: a name is no text") from None


def quote(name: str) -> str:
    """Quote a name for an error, which it must not flood."""
    return repr(name if len(name) <= _SHOWN_KEY else f"{name[:_SHOWN_KEY]}...")


def _read_value(cursor: Cursor, key: str, room: int, *, keep: bool) -> Value:
    kind = int(cursor.number(_UINT32))
    if kind in _NUMBERS:
        (number,) = _tidy(kind, [cursor.number(_NUMBERS[kind])])
        return number
    if kind == _STRING:
        return cursor.string().decode(errors="replace")
    if kind == _ARRAY:
        return _read_array(cursor, key, room, keep=keep)
    raise InvalidModel(f"damaged GGUF header: {quote(key)} has the unknown type {kind}")


def _read_array(cursor: Cursor, key: str, room: int, *, keep: bool) -> Array:
    kind = int(cursor.number(_UINT32))
    length = int(cursor.number(_UINT64))
    if length > room:
        raise InvalidModel(f"its arrays have more than {MAX_ELEMENTS} values")
    if kind in _NUMBERS:
        if keep:
            return Array(length, _tidy(kind, cursor.numbers(_NUMBERS[kind], length)))
        cursor.skip(_NUMBERS[kind].size * length)
    elif kind == _STRING:
        if keep:
            texts = cursor.strings(length)
            return Array(length, tuple(text.decode(errors="replace") for text in texts))
        cursor.skip_strings(length)
    else:
        problem = "holds arrays" if kind == _ARRAY else f"has values of the unknown type {kind}"
        raise InvalidModel(f"damaged GGUF header: {quote(key)} {problem}")
    return Array(length, None)


def _tidy(kind: int, numbers: list[int | float]) -> tuple[int | float, ...]:
    """Give numbers of 32 bits as they would be written: 1e-06, not 9.999999974752427e-07."""
    if kind != _FLOAT32:
        return tuple(numbers)
    return tuple(float(str(number)) for number in np.array(numbers, dtype=np.float32))
