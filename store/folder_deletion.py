"""Deleting blobs from a folder store."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store.files import modification_time, store_errors
from store.interface import Deletion

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


class FolderDeletion(Deletion):
    """Removes files, while nobody can retain or replace them.

    Args:
        path: names a blob's file.
        lock: excludes those who retain and publish blobs.
    """

    def __init__(
        self, path: Callable[[str], Path], lock: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._path = path
        self._lock = lock

    @store_errors()
    def delete(self, digest: str, unless_newer_than: datetime) -> bool:
        """Remove the file."""
        path = self._path(digest)
        with self._lock():
            try:
                if modification_time(path.stat()) > unless_newer_than:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    @store_errors()
    def unretain(self, digest: str, unless_newer_than: datetime, back_to: datetime) -> None:
        """Set the file's time back."""
        path = self._path(digest)
        nanoseconds = (back_to - _EPOCH) // _MICROSECOND * 1000
        with self._lock():
            try:
                if back_to < modification_time(path.stat()) <= unless_newer_than:
                    os.utime(path, ns=(nanoseconds, nanoseconds))
            except FileNotFoundError:
                return
