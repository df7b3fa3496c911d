"""Noting how far a load is, and how it ended, for those who ask what the worker does."""

from collections.abc import Callable
from typing import Protocol

from workers.slot import Slot


class LoadObserver(Protocol):
    """Is told of each load's end."""

    def loaded(self, seconds: float) -> None:
        """One took so long."""

    def not_loaded(self, reason: str) -> None:
        """One failed, or was ended; the reason is an error's."""


class LoadWatcher:
    """Is told how far a model's files are, and writes it into the model's slot."""

    def __init__(self, slot: Slot, changed: Callable[[], None]) -> None:
        self._slot = slot
        self._changed = changed

    def fetching(self, total: int) -> None:
        """So many bytes have to come from the store; none of them are here."""
        self._slot.fetched, self._slot.total = 0, total
        self._changed()

    def fetched(self, size: int) -> None:
        """So many more bytes came; fewer than none where some have to be read again."""
        self._slot.fetched += size
        self._changed()

    def converting(self, completed: int, total: int) -> None:
        """So many bytes are converted."""
        self._slot.converting = True
        self._slot.fetched, self._slot.total = completed, total
        self._changed()
