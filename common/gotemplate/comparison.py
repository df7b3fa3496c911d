"""Comparing values, each with its own kind alone."""

from common.gotemplate.formatting import format_text
from common.gotemplate.limits import EvaluationFailed
from common.gotemplate.printing import to_text
from common.gotemplate.values import Bound, NilSlice, is_nil, type_name

_BASIC = (bool, int, float, str)


def equal(first: object, *others: object) -> bool:
    """Tell whether the first value equals any of the others.

    Raises:
        EvaluationFailed: no other is given, or they are of kinds that do not compare.
    """
    if not others:
        raise EvaluationFailed("missing argument for comparison")
    return any(_equal(first, other) for other in others)


def _equal(first: object, second: object) -> bool:
    kind = type(first)
    if kind is type(second) and kind in _BASIC:
        return first == second
    if is_nil(first) or is_nil(second):
        return _equals_nil(first, second)
    if kind in _BASIC or type(second) in _BASIC:
        raise _incompatible(first, second)
    if isinstance(second, Bound) and second.type_name.startswith("*"):
        return first is second
    if _family(first) is not _family(second):
        raise EvaluationFailed(
            f"non-comparable types {_described(first)}, {type_name(second)}: {to_text(second)}"
        )
    raise EvaluationFailed(f"non-comparable type {_described(second)}")


def _equals_nil(first: object, second: object) -> bool:
    for one, other in ((first, second), (second, first)):
        if isinstance(one, NilSlice) and type(other) in _BASIC:
            raise _incompatible(first, second)
        if one is None and type(other) in _BASIC:
            return False
    return is_nil(first) and is_nil(second)


def less(first: object, second: object) -> bool:
    """Tell whether the first of two numbers or strings is the smaller one.

    Raises:
        EvaluationFailed: they are of other kinds, or of two.
    """
    if type(first) not in _BASIC or type(second) not in _BASIC:
        raise EvaluationFailed("invalid type for comparison")
    if type(first) is not type(second):
        raise _incompatible(first, second)
    if isinstance(first, str) and isinstance(second, str):
        return first < second
    if isinstance(first, bool) or not isinstance(first, int | float):
        raise EvaluationFailed("invalid type for comparison")
    assert isinstance(second, int | float)
    return first < second


def _family(value: object) -> type:
    return next((kind for kind in (dict, list, tuple) if isinstance(value, kind)), type(value))


def _described(value: object) -> str:
    return f"{format_text('%s', value)}: {type_name(value)}"


def _incompatible(first: object, second: object) -> EvaluationFailed:
    names = f"{type_name(first)} and {type_name(second)}"
    return EvaluationFailed(f"incompatible types for comparison: {names}")
