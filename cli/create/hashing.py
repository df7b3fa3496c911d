"""SHA-256 digests of files, several at a time."""

import asyncio
import hashlib
import os
import threading
from collections.abc import Collection
from pathlib import Path

from cli.progress import Progress

_LABEL = "gathering model components"
_PIECE = 1024 * 1024
_MOST = 4  # files at a time


class _Gathering:
    """How many bytes of all files have been read; and whether to stop."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            self._progress.advance(_LABEL, min(self._done, self._total), self._total)


async def hash_files(paths: Collection[Path], progress: Progress) -> dict[Path, str]:
    """Give each file's digest, as `sha256:<64 hex>`.

    Raises:
        OSError: one cannot be read.
    """
    total = sum(path.stat().st_size for path in paths)
    gathering = _Gathering(total, progress)
    places = asyncio.Semaphore(min(_MOST, os.cpu_count() or 1))

    async def hash_one(path: Path) -> str:
        async with places:
            return await asyncio.to_thread(_hash, path, gathering)

    try:
        return dict(zip(paths, await asyncio.gather(*map(hash_one, paths)), strict=True))
    finally:
        gathering.stopped.set()


def _hash(path: Path, gathering: _Gathering) -> str:
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while not gathering.stopped.is_set() and (piece := file.read(_PIECE)):
            sha256.update(piece)
            gathering.add(len(piece))
    return f"sha256:{sha256.hexdigest()}"
