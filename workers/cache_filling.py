"""Fills the folder in which an entry is built with a set's files.

`model/` has only files that are whole: links to the store's own, and copies that were moved
there once their digest was right. What is being read lies in `download/` with its journal
beside it, and another attempt goes on with all three. After a restart of the machine it begins
`model/` anew, for `boot` says that a power cut may have cost bytes of it; what is in
`download/` is hashed again at its end.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

from common.digests import parse_digest
from common.errors import InvalidModel
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc, model_pb2
from workers.cache_entry import model_folder, this_boot
from workers.cache_room import CacheRoom
from workers.download.downloads import Wanted
from workers.download.process import Downloader
from workers.download.received import Received
from workers.download.source import locate
from workers.tasks import run_all

Progress = Callable[[int], None]

_PARALLEL_LOOKUPS = 16
_PROGRESS_SECONDS = 0.5


class CacheFilling:
    """Brings the files of one set into the folder `building`."""

    def __init__(
        self,
        building: Path,
        files: Sequence[model_pb2.ModelFile],
        name: str,
        blobs: blob_pb2_grpc.BlobServiceStub,
        downloader: Downloader,
        room: CacheRoom,
    ) -> None:
        self._files = _by_path(files)
        self._name = name
        self._building = building
        self._model = model_folder(building)
        self._blobs = blobs
        self._downloader = downloader
        self._room = room
        self._lookups = asyncio.Semaphore(_PARALLEL_LOOKUPS)
        self._received = Received()

    async def fill(self, progress: Progress) -> None:
        """Link what is in sight, and read the rest.

        Raises:
            InvalidModel: the files contradict each other, or the store.
            PaddockError: see `FileCache.fetch`.
            OSError: the disk is full, or the like.
        """
        await asyncio.to_thread(self._prepare)
        async with self._reported(progress):
            found = await run_all(self._find(path) for path in self._files)
            missing = {
                path: located
                for path, located in zip(self._files, found, strict=True)
                if located is not None
            }
            size = sum(located.size for located in missing.values())
            await asyncio.to_thread(self._room.make, self._building, size, self._name)
            await self._read(missing)
        await asyncio.to_thread(self._tidy)

    async def _find(self, path: Path) -> blob_pb2.LocateResponse | None:
        """Link a file; tell where it is if that is impossible."""
        file = self._files[path]
        target = self._model / path
        if not await asyncio.to_thread(_is_here, target, file.size):
            async with self._lookups:
                located = await locate(self._blobs, parse_digest(file.digest))
            if located.size != file.size:
                raise InvalidModel(f"{file.path} has {located.size} bytes instead of {file.size}")
            if not await asyncio.to_thread(_link, located.path, target, file.size):
                return located
        self._received.add(file.size)
        return None

    async def _read(self, missing: Mapping[Path, blob_pb2.LocateResponse]) -> None:
        wanted = {path: self._want(path, located) for path, located in missing.items()}
        for target in wanted.values():
            await asyncio.to_thread(_make_folders, target)
        if wanted:
            await self._downloader.bring(list(wanted.values()), self._received.add)
        for path, target in wanted.items():
            await asyncio.to_thread(target.path.rename, self._model / path)

    def _want(self, path: Path, located: blob_pb2.LocateResponse) -> Wanted:
        file = self._files[path]
        download = self._building / "download" / path
        journal = self._building / "journal" / path
        return Wanted(parse_digest(file.digest), file.size, located, download, journal)

    def _prepare(self) -> None:
        mark = self._building / "boot"
        if not mark.is_file() or mark.read_text() != this_boot():
            shutil.rmtree(self._model, ignore_errors=True)
            mark.write_text(this_boot())

    def _tidy(self) -> None:
        (self._building / "boot").unlink(missing_ok=True)
        for name in ("download", "journal"):
            shutil.rmtree(self._building / name, ignore_errors=True)

    @asynccontextmanager
    async def _reported(self, progress: Progress) -> AsyncIterator[None]:
        """Tell of what arrives, and take it back when the block fails."""
        told = 0

        async def report() -> None:
            nonlocal told
            while True:
                await asyncio.sleep(_PROGRESS_SECONDS)
                if size := self._received.take():
                    told += size
                    progress(size)

        reporting = asyncio.create_task(report())
        try:
            yield
        except BaseException:
            progress(-told)
            raise
        finally:
            reporting.cancel()
        progress(self._received.take())


def relative_path(path: str) -> Path:
    """Check a path that came with a model: it must stay inside the model's folder.

    Raises:
        InvalidModel: it does not.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise InvalidModel(f"a model's file has the path {path!r}, which is not allowed")
    return Path(*parts)


def _by_path(files: Sequence[model_pb2.ModelFile]) -> dict[Path, model_pb2.ModelFile]:
    paths = {relative_path(file.path): file for file in files}
    folders = {folder for path in paths for folder in path.parents}
    if len(paths) < len(files) or not folders.isdisjoint(paths):
        raise InvalidModel("the model has two files at the same path")
    return paths


def _make_folders(wanted: Wanted) -> None:
    for path in (wanted.path, wanted.journal):
        path.parent.mkdir(parents=True, exist_ok=True)


def _is_here(target: Path, size: int) -> bool:
    """Tell whether an earlier attempt brought a file; else make its folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file() and target.stat().st_size == size:
        return True
    target.unlink(missing_ok=True)  # a link whose file has left the store
    return False


def _link(located: str, target: Path, size: int) -> bool:
    """Make the store's file appear at `target` without a copy; False where it is not visible."""
    if not located:
        return False
    try:
        source = Path(located).resolve(strict=True)
        if source.stat().st_size != size:
            return False
    except OSError:
        return False
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:  # another file system, or one that does not link
        target.symlink_to(source)
    return True
