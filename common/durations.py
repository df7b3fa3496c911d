"""Durations in nanoseconds, read and written as Go's `time.Duration` is."""

import re
from decimal import Decimal

from common.errors import InvalidRequest

SECOND = 1_000_000_000
FOREVER = -1
_MAXIMUM = 2**63 - 1
_LONGEST_TEXT = 200

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_TERM = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)", re.ASCII)


def parse_duration(text: str) -> int:
    """Read a Go duration such as `1h30m`, `-1.5s` or `0`, in nanoseconds.

    Raises:
        InvalidRequest: the text is no duration; the message is Go's.
    """
    if len(text) > _LONGEST_TEXT:
        raise InvalidRequest("time: invalid duration")
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total = Decimal(0)
    position = 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        if not term:
            break
        number, unit = term.groups()
        if not unit:
            raise InvalidRequest(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise InvalidRequest(f'time: unknown unit "{unit}" in duration "{text}"')
        total += Decimal(number) * _UNITS[unit]
        position = term.end()
    if not rest or position < len(rest) or total > _MAXIMUM:
        raise InvalidRequest(f'time: invalid duration "{text}"')
    return sign * int(total)


def parse_keep_alive(value: object) -> int | None:
    """Read a `keep_alive`: a number of seconds or a Go duration; negative means for ever.

    Gives nanoseconds, `FOREVER`, or None where nothing was asked.

    Raises:
        InvalidRequest: another type, or no duration.
    """
    if value is None:
        return None
    if isinstance(value, str):
        nanoseconds = parse_duration(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        nanoseconds = int(max(min(value * SECOND, _MAXIMUM), -1))
    else:
        raise InvalidRequest(f"Unsupported type: '{type(value).__name__}'")
    return FOREVER if nanoseconds < 0 else nanoseconds
