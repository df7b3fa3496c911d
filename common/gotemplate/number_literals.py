"""Go's number literals."""

import math
import re

_INTEGER = re.compile(
    r"([+-]?)(?:0[xX](_?[0-9a-fA-F_]+)|0[bB](_?[01_]+)|0[oO]?(_?[0-7_]+)|(0|[1-9][0-9_]*))"
)
_BASES = (16, 2, 8, 10)
_HEXADECIMAL_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?[pP][+-]?[0-9_]+")
_LONGEST = 100  # characters; what is longer is no number that anyone means
_INT64 = 2**63
_UINT64 = 2**64


def parse_number(text: str) -> int | float | None:
    """Read a number; None stands for an integer that an unsigned type alone could hold.

    Raises:
        ValueError: it is no number, or too large.
    """
    if len(text) > _LONGEST:
        raise ValueError(f'illegal number syntax: "{text}"')
    integer = _integer(text)
    if integer is not None:
        if -_INT64 <= integer < _INT64:
            return integer
        if 0 <= integer < _UINT64 and text[0] != "+":
            return None
    if text[-1:] == "i":
        raise ValueError(f"complex numbers are not supported: {text}")
    number = _float(text)
    if number is None:
        raise ValueError(f'illegal number syntax: "{text}"')
    if not set(text) & set(".eEpP"):
        raise ValueError(f'integer overflow: "{text}"')
    return number


def _integer(text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    if not match:
        return None
    sign, *digits = match.groups()
    base, written = next(
        (base, group) for base, group in zip(_BASES, digits, strict=True) if group is not None
    )
    if "__" in written or written.endswith("_"):
        return None
    return int(sign + written.replace("_", ""), base)


def _float(text: str) -> float | None:
    try:
        if _HEXADECIMAL_FLOAT.fullmatch(text):
            number = float.fromhex(text.replace("_", ""))
        else:
            number = float(text)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
