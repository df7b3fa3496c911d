"""Values as text: Go's `fmt.Print` family, and the verb `%v`."""

from collections.abc import Callable

from common.gotemplate.floats import format_float
from common.gotemplate.json_text import to_json
from common.gotemplate.limits import check_depth, join_bounded
from common.gotemplate.values import Bound, items_in_order

NO_VALUE = "<no value>"
NIL = "<nil>"


def to_text(value: object, depth: int = 0) -> str:
    """Write a value as `%v` does; `nil` is `<nil>`.

    Raises:
        EvaluationFailed: it is nested too deeply, or too long.
    """
    if type(value) is str:
        return value
    if (write := _SCALARS.get(type(value))) is not None:
        return write(value)
    check_depth(depth)
    if isinstance(value, Bound):
        return bound_text(value)
    if isinstance(value, dict):
        items = items_in_order(value)
        texts = (f"{key}:{to_text(item, depth + 1)}" for key, item in items)
        return f"map[{join_bounded(texts, ' ')}]"
    if isinstance(value, list | tuple | bytes):
        return f"[{join_bounded((to_text(item, depth + 1) for item in value), ' ')}]"
    return str(value)


def bound_text(value: Bound) -> str:
    """Write a value of a named type: as it wants, else as JSON."""
    own = value.own_text()
    return to_json(value) if own is None else own


def _float_text(value: object) -> str:
    assert isinstance(value, float)
    return format_float(value, "g")


_SCALARS: dict[type, Callable[[object], str]] = {
    bool: lambda value: "true" if value else "false",
    int: str,
    float: _float_text,
    type(None): lambda _: NIL,
}


def print_values(*values: object) -> str:
    """Write values after each other, a space between two of which neither is a string."""
    parts: list[str] = []
    before_is_text = True
    for value in values:
        is_text = isinstance(value, str)
        if not is_text and not before_is_text:
            parts.append(" ")
        parts.append(to_text(value))
        before_is_text = is_text
    return join_bounded(parts)


def print_line(*values: object) -> str:
    """Write values with a space between any two, and a newline."""
    return join_bounded((to_text(value) for value in values), " ") + "\n"
