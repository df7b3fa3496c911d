"""Sets of files on this worker's disk: `<cache>/models/<identity>/model/<path>`.

A set is a model's files, an adapter's, or what was made of them here. An entry is built
under another name and renamed when it is complete, so that one that exists is whole, whoever
was killed when. Workers may share a disk: one builds an entry, and the others wait for it.
"""

import asyncio
import errno
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from common.errors import InvalidModel, InvalidRequest, LoadFailed, NoRoom, NotFound, OutOfMemory
from protos.paddock.v1 import blob_pb2_grpc, model_pb2
from workers.cache_entry import (
    HeldFolder,
    hold,
    hold_whole,
    make_durable,
    model_folder,
    write_record,
)
from workers.cache_filling import CacheFilling, Progress
from workers.cache_room import CacheRoom, end_reservation, format_bytes
from workers.download.process import Downloader
from workers.partial import building_folder, partial_folder, remove_leftovers

_IDENTITY = re.compile(r"[0-9a-f]{64}")

# After these nothing is gained by going on with what is here.
_FINAL = (InvalidRequest, NotFound, OutOfMemory, LoadFailed)


class FileCache:
    """Brings sets of files from the store, and keeps what is made of them.

    Args:
        root: the cache's folder; workers on one disk may share it.
        blobs: tells where the store's files are.
        downloader: reads those that are not on this disk.
        size: bytes that the cache may take on the disk; None: a share of it.
    """

    def __init__(
        self,
        root: Path,
        blobs: blob_pb2_grpc.BlobServiceStub,
        downloader: Downloader,
        size: int | None = None,
    ) -> None:
        self.models = root / "models"
        self.partial = root / "partial"
        self._blobs = blobs
        self._downloader = downloader
        self._room = CacheRoom(root, self.models, self.partial, size)
        self._settling: set[asyncio.Task[None]] = set()
        self._make_folders()
        remove_leftovers(self.partial)

    def _make_folders(self) -> None:
        for folder in (self.models, self.partial):
            folder.mkdir(parents=True, exist_ok=True)

    async def find(self, identity: str) -> HeldFolder | None:
        """Give the folder of a set that is here and whole; None where it is not.

        It stays until it is released.
        """
        return await asyncio.to_thread(hold_whole, self._entry(identity))

    async def fetch(
        self,
        identity: str,
        files: Sequence[model_pb2.ModelFile],
        progress: Progress,
        *,
        name: str,
    ) -> HeldFolder:
        """Give the folder with a set of files, fetched first where it is not here.

        It stays until it is released.

        Args:
            identity: 64 hexadecimal digits, the same for equal sets only.
            files: what belongs to the set.
            progress: told about twice a second how many bytes have arrived since it was last
                told; fewer than none where some have to be read again, or the fetch fails.
            name: of the model, for people.

        Raises:
            InvalidModel: a path leaves the folder, or the files contradict each other.
            DigestMismatch: bytes arrived that are not the file's.
            BlobNotFound: the store lacks one.
            OutOfMemory, NoRoom: the disk has no room for it, ever or now.
            StoreFailed: the store cannot be read.
            LoadFailed: the disk cannot be written.
        """

        async def build(building: Path) -> None:
            filling = CacheFilling(building, files, name, self._blobs, self._downloader, self._room)
            async with _cleared_after(building, _FINAL, unless=NoRoom):
                with _disk_errors(name, files):
                    await filling.fill(progress)

        sources = sorted({file.digest for file in files})
        return await self._find_or_build(identity, name, sources, build)

    async def add(
        self,
        identity: str,
        build: Callable[[Path], Awaitable[None]],
        *,
        name: str,
        size: int,
        sources: Iterable[str],
    ) -> HeldFolder:
        """Give the folder with what is made here, made first where it is not here.

        It stays until it is released. On one disk at most one worker builds it at a time.

        Args:
            identity: 64 hexadecimal digits, the same for equal sets only.
            build: fills the empty folder that it is given. When it fails, or is cancelled, or
                its process dies, nothing of it stays.
            name: of the model, for people.
            size: bytes that it will take at most, for which room is made.
            sources: digests of the blobs that it is made of: when the store has one of them no
                more, the entry goes as well.

        Raises:
            OutOfMemory, NoRoom: the disk has no room for it, ever or now.
            Exception: what `build` raises.
        """

        async def build_anew(building: Path) -> None:
            async with _cleared_after(building, BaseException):
                await asyncio.to_thread(_clear, building)
                await asyncio.to_thread(self._room.make, building, size, name)
                folder = model_folder(building)
                folder.mkdir()
                await build(folder)

        return await self._find_or_build(identity, name, sorted(set(sources)), build_anew)

    async def _find_or_build(
        self,
        identity: str,
        name: str,
        sources: Sequence[str],
        build: Callable[[Path], Awaitable[None]],
    ) -> HeldFolder:
        if held := await self.find(identity):
            return held
        await asyncio.to_thread(self._make_folders)  # somebody may have cleared the cache
        async with building_folder(self.partial, identity) as building:
            if held := await self.find(identity):  # another worker was faster
                return held
            await build(building)
            end_reservation(building)
            await asyncio.to_thread(write_record, building, name, sources)
            entry = self._entry(identity)
            held = await asyncio.to_thread(self._publish, building, entry)
        # Nobody waits for the disk: until then the entry counts as long as the machine runs.
        settling = asyncio.create_task(asyncio.to_thread(make_durable, entry))
        self._settling.add(settling)
        settling.add_done_callback(self._settling.discard)
        return held

    def _entry(self, identity: str) -> Path:
        if not _IDENTITY.fullmatch(identity):
            raise InvalidModel("the model's weights have no valid identity")
        return self.models / identity

    def _publish(self, building: Path, entry: Path) -> HeldFolder:
        """Rename a complete entry into place, over one that lost its files, and hold it."""
        held = hold(building)
        with partial_folder(self.partial) as broken:
            if entry.exists():
                entry.rename(broken / entry.name)
            building.rename(entry)
        held.path = model_folder(entry)
        return held


@asynccontextmanager
async def _cleared_after(
    building: Path,
    kinds: type[BaseException] | tuple[type[BaseException], ...],
    unless: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> AsyncIterator[None]:
    """Remove all that is in a folder when the block fails in one of these ways."""
    try:
        yield
    except kinds as error:
        if not isinstance(error, unless):
            await asyncio.to_thread(_clear, building)
        raise


@contextmanager
def _disk_errors(name: str, files: Sequence[model_pb2.ModelFile]) -> Iterator[None]:
    """Say what it means when a file cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            size = format_bytes(sum(file.size for file in files))
            raise OutOfMemory(f"the worker's disk is full: {name} has {size}") from error
        reason = (error.strerror or "the disk fails").lower()
        raise LoadFailed(f"cannot store the files of {name}: {reason}") from error


def _clear(folder: Path) -> None:
    """Remove all that is in a folder."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
