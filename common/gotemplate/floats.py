"""Floating-point numbers in text, as Go's `strconv` and `encoding/json` write them."""

import math
from decimal import Decimal

# `g` writes an exponent that is at least this, or less than -4, where no precision is given.
_EXPONENT_FROM = 6


def format_float(number: float, verb: str, precision: int = -1) -> str:
    """Write a number by the rules of the verb `e`, `f` or `g`, or `E` or `G`.

    A negative precision asks for the fewest digits from which the number can be read again.
    """
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if math.isnan(number):
        return "NaN"
    if precision >= 0:
        return f"{number:.{precision}{verb}}"
    digits, point = _shortest(number)
    sign = "-" if math.copysign(1, number) < 0 else ""
    if verb in "eE" or (verb in "gG" and not -4 <= point - 1 < _EXPONENT_FROM):
        text = _scientific(digits, point)
        return sign + (text.upper() if verb.isupper() else text)
    return sign + _positional(digits, point)


def json_float(number: float) -> str:
    """Write a finite number as JSON: exponents only for very small and very large ones."""
    if number == 0 or 1e-6 <= abs(number) < 1e21:
        return format_float(number, "f")
    text = format_float(number, "e")
    return text.replace("e-0", "e-")


def _shortest(number: float) -> tuple[str, int]:
    """Give the shortest digits of a number and where its decimal point is among them."""
    _, digits, exponent = Decimal(repr(abs(number))).as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    point = len(text) + int(exponent)
    text = text.rstrip("0")
    return (text, point) if text else ("0", 1)


def _scientific(digits: str, point: int) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    exponent = point - 1
    return f"{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _positional(digits: str, point: int) -> str:
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"
