"""Counting bytes that arrive on any thread."""

from threading import Lock


class Received:
    """Counts bytes that arrive on any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._size = 0

    def add(self, size: int) -> None:
        """Count some more, or fewer."""
        with self._lock:
            self._size += size

    def take(self) -> int:
        """Give what was counted since the last time."""
        with self._lock:
            size, self._size = self._size, 0
        return size
