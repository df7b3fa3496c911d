"""Which entries leave the cache: the least recently used first, and none that is in use."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cached:
    """An entry, or the beginning of one."""

    path: Path
    size: int
    """Bytes that would be free without it."""

    used_at: float
    """When it was last used, in seconds since 1970."""

    held: bool
    """Somebody uses it, or works on it, now."""


@dataclass(frozen=True)
class Space:
    """What there is room for, in bytes."""

    limit: int
    """The whole cache."""

    free: int
    """What the disk has left."""


def choose_evictions(cached: Iterable[Cached], need: int, space: Space) -> list[Cached] | None:
    """Choose what has to go before an entry of `need` bytes can be made.

    None where all that may go would not be enough.
    """
    entries = list(cached)
    excess = max(sum(entry.size for entry in entries) + need - space.limit, need - space.free)
    chosen: list[Cached] = []
    for entry in sorted(entries, key=lambda entry: entry.used_at):
        if excess <= 0:
            break
        if entry.size and not entry.held:
            chosen.append(entry)
            excess -= entry.size
    return chosen if excess <= 0 else None


def could_ever_fit(cached: Iterable[Cached], need: int, space: Space) -> bool:
    """Tell whether an entry of `need` bytes would fit if nobody used the others."""
    return need <= min(space.limit, space.free + sum(entry.size for entry in cached))
