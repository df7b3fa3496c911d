"""The kept uploads of a folder store: files that outlive whoever writes them.

Each is named by its blob's digest and size. Whoever writes it holds a lock on the file,
which the kernel takes away when the process ends. That the name still leads to the locked
file is sure because such files are opened and removed only under the store's own lock.
"""

import fcntl
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Literal

from common.digests import hex_digits
from common.errors import UploadMoved
from store.files import modification_time
from store.interface import UploadStatus

_NAME = re.compile(r"kept-[0-9a-f]{64}-[0-9]+")


class KeptUploads:
    """Finds, locks and clears away the kept uploads in a folder."""

    def __init__(self, folder: Path, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._folder = folder
        self._lock = lock

    def path(self, digest: str, size: int) -> Path:
        """Name the file of a kept upload."""
        return self._folder / f"kept-{hex_digits(digest)}-{size}"

    def open(self, digest: str, size: int, offset: int) -> FileIO | None:
        """Open a kept upload for writing at `offset`; at 0 it is begun anew.

        Gives None when it is to begin anew while somebody is writing it.

        Raises:
            UploadMoved: it is to go on, and has another length or another writer.
        """
        with self._lock(), ExitStack() as unless_taken:
            file = self._open(digest, size, offset)
            unless_taken.callback(file.close)
            if not _take(file):
                if offset:
                    raise UploadMoved("the blob is being written by another upload")
                return None
            _begin(file, offset)
            unless_taken.pop_all()
            return file

    def status(self, digest: str, size: int) -> UploadStatus:
        """Measure a kept upload."""
        with (
            self._lock(),
            suppress(FileNotFoundError),
            self.path(digest, size).open("r+b", buffering=0) as file,
        ):
            return UploadStatus(_length(file), busy=not _take(file))
        return UploadStatus()

    def remove_idle(self, idle_since: datetime) -> int:
        """Remove what nobody writes, or wrote after the given time; give their number."""
        with self._lock():
            paths = [path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]
            return sum(_remove_if_idle(path, idle_since) for path in paths)

    def _open(self, digest: str, size: int, offset: int) -> FileIO:
        try:
            mode: Literal["r+b", "a+b"] = "r+b" if offset else "a+b"
            return self.path(digest, size).open(mode, buffering=0)
        except FileNotFoundError:
            raise UploadMoved(f"the upload has 0 bytes instead of {offset}") from None


def _take(file: FileIO) -> bool:
    """Lock a file until it is closed, unless somebody else has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _begin(file: FileIO, offset: int) -> None:
    if offset and offset != _length(file):
        raise UploadMoved(f"the upload has {_length(file)} bytes instead of {offset}")
    file.truncate(offset)
    file.seek(offset)
    os.utime(file.fileno())


def _length(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def _remove_if_idle(path: Path, idle_since: datetime) -> bool:
    with path.open("r+b", buffering=0) as file:
        idle = modification_time(os.fstat(file.fileno())) <= idle_since and _take(file)
        if idle:
            path.unlink()
        return idle
