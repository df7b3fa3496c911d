"""Sizes, numbers and times as people read them, written as Ollama's command line does."""

from datetime import UTC, datetime

_MINUTE = 60
_HOUR = 60 * _MINUTE
_FOREVER = 20  # years
_BYTE_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB"))


def human_bytes(size: int) -> str:
    """Write a number of bytes in powers of 1000, such as `4.7 GB`."""
    for factor, unit in _BYTE_UNITS:
        if size >= factor:
            value = size / factor
            is_rough = value >= 10 or value.is_integer()
            return f"{int(value)} {unit}" if is_rough else f"{value:.1f} {unit}"
    return f"{size} B"


def human_number(number: int) -> str:
    """Write a count, such as `8.0B` or `596.05M`."""
    for factor, unit, digits in ((10**9, "B", 1), (10**6, "M", 2)):
        if number >= factor:
            value = number / factor
            return f"{value:.{0 if value.is_integer() else digits}f}{unit}"
    return f"{number / 1000:.0f}K" if number >= 1000 else str(number)


def parse_time(text: str) -> datetime:
    """Read a time as the API writes it (RFC 3339)."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def human_time(time: datetime, now: datetime) -> str:
    """Say how long ago a time is, or how far off, such as `2 hours ago`."""
    if time.year == 1:  # Go's zero
        return "Never"
    seconds = (now - time).total_seconds()
    if seconds / _HOUR / 24 / 365 <= -_FOREVER - 1:
        return "Forever"
    return f"{human_duration(abs(seconds))} {'ago' if seconds >= 0 else 'from now'}"


def human_duration(seconds: float) -> str:
    """Write a duration roughly, such as `About a minute`."""
    whole = int(seconds)
    if whole < _MINUTE:
        return {0: "Less than a second", 1: "1 second"}.get(whole, f"{whole} seconds")
    if whole < _HOUR:
        minutes = whole // _MINUTE
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / _HOUR + 0.5)
    if hours == 1:
        return "About an hour"
    for limit, length, unit in (
        (48, 1, "hours"),
        (24 * 14, 24, "days"),
        (24 * 60, 24 * 7, "weeks"),
        (24 * 365 * 2, 24 * 30, "months"),
    ):
        if hours < limit:
            return f"{hours // length} {unit}"
    return f"{whole // _HOUR // 24 // 365} years"
