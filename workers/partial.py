"""Folders that are being built, or taken down: nobody else looks into them.

A lock that the kernel drops with the process tells others that somebody works there.
"""

import asyncio
import fcntl
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

# Of an entry that is built: 64 hexadecimal digits. Others are of no use to a second owner.
_IDENTITY = re.compile(r"[0-9a-f]{64}")

_LOCK_INTERVAL = 0.1  # seconds
# Seconds for which the beginning of an entry waits for somebody to go on with it.
_KEPT_SECONDS = 24 * 3600.0


@contextmanager
def partial_folder(parent: Path) -> Iterator[Path]:
    """Give a new folder to work in; what is left of it goes at the end."""
    descriptor = None
    while descriptor is None:  # who cleans up may have been at the lock before us
        name = uuid4().hex
        descriptor = _try_lock(_lock_path(parent, name))
    folder = parent / name
    try:
        folder.mkdir()
        yield folder
    finally:
        _remove(parent, name)
        os.close(descriptor)


@asynccontextmanager
async def building_folder(parent: Path, identity: str) -> AsyncIterator[Path]:
    """Give the folder in which an entry is built, once nobody else works there.

    What is in it was left by one who did not come to an end; what is left in it at the end
    waits for the next.
    """
    lock = _lock_path(parent, identity)
    while (descriptor := await asyncio.to_thread(_try_lock, lock)) is None:  # noqa: ASYNC110
        await asyncio.sleep(_LOCK_INTERVAL)
    folder = parent / identity
    try:
        folder.mkdir(exist_ok=True)
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()  # where nothing is in it
        if not folder.exists():
            lock.unlink()
        os.close(descriptor)


def is_worked_on(folder: Path) -> bool:
    """Tell whether somebody works in a folder now."""
    try:
        descriptor = os.open(_lock_path(folder.parent, folder.name), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove_partial(parent: Path, name: str) -> bool:
    """Remove a folder that nobody works in; False where somebody does."""
    try:
        descriptor = _try_lock(_lock_path(parent, name))
    except OSError:
        return False
    if descriptor is None:
        return False
    try:
        _remove(parent, name)
    finally:
        os.close(descriptor)
    return True


def remove_leftovers(parent: Path) -> None:
    """Remove the folders of processes that were killed, unless somebody may go on with them."""
    for lock in parent.glob("*.lock"):
        if not _is_kept(lock):
            remove_partial(parent, lock.stem)


def _is_kept(lock: Path) -> bool:
    try:
        age = time.time() - lock.stat().st_mtime
    except FileNotFoundError:  # somebody was faster to clean up
        return True
    return bool(_IDENTITY.fullmatch(lock.stem)) and age < _KEPT_SECONDS


def _lock_path(parent: Path, name: str) -> Path:
    return parent / f"{name}.lock"


def _try_lock(path: Path) -> int | None:
    """Lock a file, made where there is none; None where somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its owner before us may have removed it, and a third one made another.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            os.utime(descriptor)
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _remove(parent: Path, name: str) -> None:
    shutil.rmtree(parent / name, ignore_errors=True)
    _lock_path(parent, name).unlink(missing_ok=True)
