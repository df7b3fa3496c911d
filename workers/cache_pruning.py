"""Removes models from the cache that are gone from the store: a link alone keeps a file's bytes.

Whoever uses an entry holds it, in this process or in another on the same disk, and it stays.
"""

import asyncio
import logging
from pathlib import Path

from common.errors import BlobNotFound, PaddockError
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc
from workers.cache_entry import CachedFile, Record, model_folder, read_record, take_away
from workers.partial import partial_folder, remove_leftovers

logger = logging.getLogger(__name__)

_STAT_SECONDS = 10.0


class CachePruning:
    """Looks through the entries in `models`, and takes them down in `partial`."""

    def __init__(self, models: Path, partial: Path, blobs: blob_pb2_grpc.BlobServiceStub) -> None:
        self._models = models
        self._partial = partial
        self._blobs = blobs

    async def prune_for_ever(self, interval: float) -> None:
        """Prune now and every `interval` seconds, until it is cancelled."""
        while True:
            await self.prune()
            await asyncio.sleep(interval)

    async def prune(self) -> None:
        """Remove what nobody uses and the store has no more; what goes wrong is logged."""
        try:
            await asyncio.to_thread(remove_leftovers, self._partial)
            for entry in await asyncio.to_thread(_entries, self._models):
                await self._prune(entry)
        except OSError as error:
            logger.warning("cannot look through the cache: %s", error)

    async def _prune(self, entry: Path) -> None:
        try:
            record = await asyncio.to_thread(read_record, entry)
        except (OSError, ValueError, KeyError, TypeError):
            record = None  # an earlier version's, or damaged: it can be fetched again
        try:
            if record and await self._is_wanted(entry, record):
                return
            if await asyncio.to_thread(_remove, entry, self._partial):
                logger.info("removed %s from the cache", record.name if record else entry.name)
        except OSError as error:
            logger.warning("cannot remove %s from the cache: %s", entry.name, error)

    async def _is_wanted(self, entry: Path, record: Record) -> bool:
        if await asyncio.to_thread(_lost_a_link, entry, record.files):
            return False
        # One by one: nobody waits for it.
        for digest in record.sources:
            if not await self._is_stored(digest):
                return False
        return True

    async def _is_stored(self, digest: str) -> bool:
        try:
            with rpc_errors():
                await self._blobs.Stat(blob_pb2.StatRequest(digest=digest), timeout=_STAT_SECONDS)
        except BlobNotFound:
            return False
        except PaddockError:
            return True  # as far as we know
        return True


def _entries(models: Path) -> list[Path]:
    return sorted(entry for entry in models.iterdir() if entry.is_dir())


def _lost_a_link(entry: Path, files: list[CachedFile]) -> bool:
    """Tell whether the store removed, or replaced, a file that was its own."""
    folder = model_folder(entry)
    return not all(_is_the_stores(folder / file.path) for file in files if file.linked)


def _is_the_stores(path: Path) -> bool:
    if path.is_symlink():
        return path.exists()
    return path.exists() and path.stat().st_nlink > 1


def _remove(entry: Path, partial: Path) -> bool:
    with partial_folder(partial) as folder:
        return take_away(entry, folder / entry.name)
