"""Files that survive a power cut, and the errors of a file system as ours."""

import ctypes
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path

from common.errors import StoreFailed, StoreFull
from store.upload import Bytes

logger = logging.getLogger(__name__)

_SYNC_FILE_RANGE_WRITE = 2
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what the operating system refuses into `StoreFull` or `StoreFailed`.

    Which file it was about is the operator's business alone, and is logged.
    """
    try:
        yield
    except OSError as error:
        kind = StoreFull if error.errno in _FULL else StoreFailed
        logger.error("the store cannot be used: %s", error)
        raise kind(f"the store cannot be used: {error.strerror or error}") from error


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that threads and processes share, on a file made for it."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def modification_time(status: os.stat_result) -> datetime:
    """Give a file's time of modification in UTC, cut to whole microseconds."""
    seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=nanoseconds // 1000)


def write_fully(file: FileIO, data: Bytes) -> None:
    """Write all of it, where one call may write less."""
    with memoryview(data) as rest:
        written = 0
        while written < len(rest):
            written += file.write(rest[written:])


def begin_writeback(file: FileIO, offset: int, length: int) -> None:
    """Have the kernel begin to bring bytes to the disk, so that a later `fsync` waits less.

    Waits for nothing; what goes wrong is for `fsync` to tell (sync_file_range(2)).
    """
    sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if sync_file_range:
        start, size = ctypes.c_int64(offset), ctypes.c_int64(length)
        sync_file_range(file.fileno(), start, size, _SYNC_FILE_RANGE_WRITE)


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable. One that is gone needs no durability."""
    with suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
