"""Makes room on the disk before an entry is built, and keeps it until that is done.

What an entry takes is what its files alone keep on the disk: a file that the store has as
well, by a hard link, takes nothing. What is being built counts with all that it will take.
"""

import fcntl
import logging
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.errors import NoRoom, OutOfMemory
from workers.cache_entry import is_held, take_away, used_at
from workers.cache_eviction import Cached, Space, choose_evictions, could_ever_fit
from workers.partial import is_worked_on, partial_folder, remove_partial

logger = logging.getLogger(__name__)

# Of the disk's free bytes and the cache's own, where no size is set.
_SHARE = 0.8
# Its size, of which nothing is written, is what the entry beside it will take.
_RESERVED = "reserved"
_BLOCK = 512


class CacheRoom:
    """The room of all workers that share a cache; its lock makes them look and take in turn."""

    def __init__(self, root: Path, models: Path, partial: Path, size: int | None) -> None:
        self._lock_path = root / "room.lock"
        self._models = models
        self._partial = partial
        self._size = size

    def make(self, building: Path, need: int, name: str) -> None:
        """Keep `need` bytes for what is built in a folder, removing others' entries for it.

        It blocks.

        Raises:
            OutOfMemory: it would not fit if nothing else were here.
            NoRoom: it would, but too much is in use.
        """
        with self._locked():
            own = own_bytes(building)
            while (victims := self._victims(building, need, own, name)) and self._evict(victims):
                pass
            reserve(building, need)

    def _victims(self, building: Path, need: int, own: int, name: str) -> list[Cached]:
        cached = [entry for entry in self._cached() if entry.path != building]
        # What is here of it already is not needed again.
        free = shutil.disk_usage(self._partial).free + own
        total = free + sum(entry.size for entry in cached)
        limit = int(total * _SHARE) if self._size is None else self._size
        space = Space(limit, free)
        victims = choose_evictions(cached, need, space)
        if victims is None:
            rest = min(limit, total)
            text = f"{name} needs {format_bytes(need)} of the worker's disk, "
            if could_ever_fit(cached, need, space):
                raise NoRoom(f"{text}of which other models in use leave too little")
            raise OutOfMemory(f"{text}of which models may have {format_bytes(rest)}")
        return victims

    def _evict(self, victims: list[Cached]) -> bool:
        """Remove entries; tell whether one was taken into use meanwhile."""
        for victim in victims:
            if not self._remove(victim.path):
                return True
            logger.info("removed %s (%s) for room", victim.path.name, format_bytes(victim.size))
        return False

    def _remove(self, path: Path) -> bool:
        if path.parent == self._partial:
            return remove_partial(self._partial, path.name)
        with partial_folder(self._partial) as folder, suppress(FileNotFoundError):
            return take_away(path, folder / path.name)
        return True

    def _cached(self) -> Iterator[Cached]:
        for path in self._models.iterdir():
            with suppress(OSError):  # it has just gone
                yield Cached(path, own_bytes(path), used_at(path), is_held(path))
        for path in self._partial.iterdir():
            with suppress(OSError):
                if path.is_dir():
                    held = is_worked_on(path)
                    size = max(own_bytes(path), _reserved(path) if held else 0)
                    yield Cached(path, size, path.stat().st_mtime, held)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock_path.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def reserve(building: Path, size: int) -> None:
    """Note how many bytes an entry will take that is being built."""
    with (building / _RESERVED).open("wb") as file:
        file.truncate(size)


def end_reservation(building: Path) -> None:
    """Count an entry with what it takes."""
    (building / _RESERVED).unlink(missing_ok=True)


def own_bytes(folder: Path) -> int:
    """Tell how many bytes would be free without a folder; it blocks."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                size += found.st_blocks * _BLOCK
    return size


def _reserved(folder: Path) -> int:
    with suppress(OSError):
        return (folder / _RESERVED).stat().st_size
    return 0


def format_bytes(size: int) -> str:
    """Write a size for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
