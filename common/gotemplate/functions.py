"""The functions that every template has, and what describes a function to the evaluator."""

import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

from common.gotemplate.comparison import equal, less
from common.gotemplate.formatting import format_text
from common.gotemplate.limits import EvaluationFailed, join_bounded
from common.gotemplate.printing import NO_VALUE, print_line, print_values
from common.gotemplate.quoting import is_printable
from common.gotemplate.values import (
    byte_length,
    element,
    encode,
    slice_bytes,
    type_name,
    valid_text,
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of values.

    `call` may raise `EvaluationFailed`.
    """

    call: Callable[..., object]
    wanted: int  # arguments
    more: bool = False  # takes any number after those that it wants
    strings: int = 0  # arguments at the beginning that must be strings


@dataclass(frozen=True, slots=True)
class ShortCircuit:
    """`and`, `or`: the first argument with this truth value, else the last; later ones rest."""

    stops_at: bool
    wanted: int = 1
    more: bool = True


def length(value: object) -> int:
    """Count a string's bytes, or the items of a list or map."""
    if isinstance(value, str):
        return byte_length(value)
    if value is None:
        raise EvaluationFailed("len of nil pointer")
    if isinstance(value, list | tuple | dict | bytes):
        return len(value)
    raise EvaluationFailed(f"len of type {type_name(value).removeprefix('*')}")


def index(item: object, *indexes: object) -> object:
    """Give `item[i][j]...`; a key that a map lacks gives its zero element."""
    if item is None:
        raise EvaluationFailed("index of untyped nil")
    for position in indexes:
        item = _index(item, position)
    return item


def _index(item: object, position: object) -> object:
    if item is None:
        raise EvaluationFailed("index of nil pointer")
    if isinstance(item, dict):
        if not isinstance(position, str):
            raise EvaluationFailed(_not_a_key(position))
        return element(item, position)
    sequence = encode(item) if isinstance(item, str) else item
    if not isinstance(sequence, list | tuple | bytes):
        raise EvaluationFailed(f"can't index item of type {type_name(item).removeprefix('*')}")
    at = _position(position, len(sequence))
    if at == len(sequence):
        kind = "string" if isinstance(item, str) else "slice"
        raise EvaluationFailed(f"reflect: {kind} index out of range")
    found: object = sequence[at]
    return found


def _not_a_key(position: object) -> str:
    if position is None:
        return "value is nil; should be of type string"
    return f"value has type {type_name(position)}; should be string"


def slice_(item: object, *indexes: object) -> object:
    """Give `item[i:j]` of a string, in bytes, or of a list."""
    if item is None:
        raise EvaluationFailed("slice of untyped nil")
    if len(indexes) > 3:
        raise EvaluationFailed(f"too many slice indexes: {len(indexes)}")
    if isinstance(item, str) and len(indexes) == 3:
        raise EvaluationFailed("cannot 3-index slice a string")
    if not isinstance(item, str | list | tuple | bytes):
        raise EvaluationFailed(f"can't slice item of type {type_name(item).removeprefix('*')}")
    size = length(item)
    positions = [_position(each, size) for each in indexes]
    start, end, capacity = [*positions, *[0, size, size][len(positions) :]]
    if start > end or end > capacity:
        wrong = (start, end) if start > end else (end, capacity)
        raise EvaluationFailed("invalid slice index: {} > {}".format(*wrong))
    if isinstance(item, str):
        return slice_bytes(item, start, end)
    return item[start:end]


def _position(value: object, limit: int) -> int:
    if value is None:
        raise EvaluationFailed("cannot index slice/array with nil")
    if type(value) is not int:
        raise EvaluationFailed(f"cannot index slice/array with type {type_name(value)}")
    if not 0 <= value <= limit:
        raise EvaluationFailed(f"index out of range: {value}")
    return value


def _no_function(value: object, *_: object) -> object:
    """Refuse `call`: no value of ours is a function."""
    if value is None:
        raise EvaluationFailed("call of nil")
    raise EvaluationFailed(f"non-function of type {type_name(value)}")


def _less_or_equal(first: object, second: object) -> bool:
    return less(first, second) or equal(first, second)


def _shown(*values: object) -> str:
    """Write arguments as an action would."""
    return print_values(*(NO_VALUE if value is None else value for value in values))


_HTML = str.maketrans(
    {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
_SCRIPT = {"\\": "\\\\", "'": "\\'", '"': '\\"'}


def _html(*values: object) -> str:
    return _shown(*values).translate(_HTML)


def _script(*values: object) -> str:
    return join_bounded(map(_script_character, valid_text(_shown(*values))))


def _script_character(character: str) -> str:
    if character in _SCRIPT:
        return _SCRIPT[character]
    plain = character >= " " if character <= "\x7f" else is_printable(character)
    return character if plain and character not in "<>&=" else f"\\u{ord(character):04X}"


def _query(*values: object) -> str:
    return urllib.parse.quote_plus(encode(_shown(*values)))


BUILTINS: dict[str, Function | ShortCircuit] = {
    "and": ShortCircuit(stops_at=False),
    "or": ShortCircuit(stops_at=True),
    "not": Function(lambda value: not value, 1),
    "eq": Function(equal, 1, more=True),
    "ne": Function(lambda first, second: not equal(first, second), 2),
    "lt": Function(less, 2),
    "le": Function(_less_or_equal, 2),
    "gt": Function(lambda first, second: not _less_or_equal(first, second), 2),
    "ge": Function(lambda first, second: not less(first, second), 2),
    "len": Function(length, 1),
    "index": Function(index, 1, more=True),
    "slice": Function(slice_, 1, more=True),
    "print": Function(print_values, 0, more=True),
    "println": Function(print_line, 0, more=True),
    "printf": Function(format_text, 1, more=True, strings=1),
    "html": Function(_html, 0, more=True),
    "js": Function(_script, 0, more=True),
    "urlquery": Function(_query, 0, more=True),
    "call": Function(_no_function, 1, more=True),
}
