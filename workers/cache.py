"""Models' files on this worker's disk: `<cache>/models/<weights>/model/<path>`.

An entry is built under another name and renamed when it is complete, so that one that
exists is whole, whoever was killed when. Workers may share a disk: the first rename wins.
"""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from common.errors import InvalidModel
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc, model_pb2
from workers.cache_entry import (
    CachedFile,
    HeldFolder,
    Record,
    hold,
    hold_whole,
    model_folder,
    write_record,
)
from workers.download import download
from workers.partial import partial_folder, remove_leftovers
from workers.tasks import run_all

_PARALLEL_FILES = 8
_WEIGHTS = re.compile(r"[0-9a-f]{64}")

Progress = Callable[[int], None]


class FileCache:
    """Brings models' files from the store."""

    def __init__(self, root: Path, blobs: blob_pb2_grpc.BlobServiceStub) -> None:
        self.models = root / "models"
        self.partial = root / "partial"
        self._blobs = blobs
        for folder in (self.models, self.partial):
            folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.partial)

    async def fetch(self, spec: model_pb2.ModelSpec, progress: Progress) -> HeldFolder:
        """Give the folder with a model's files, fetched first where it is not here.

        It stays until it is released. `progress` is told of each piece's bytes as they arrive.

        Raises:
            InvalidModel: a path leaves the folder, or the files contradict each other.
            DigestMismatch: bytes arrived that are not the file's.
            BlobNotFound: the store lacks one.
        """
        if not _WEIGHTS.fullmatch(spec.weights):
            raise InvalidModel("the model's weights have no valid identity")
        paths = {file.path: _relative(file.path) for file in spec.files}
        entry = self.models / spec.weights
        if held := await asyncio.to_thread(hold_whole, entry, spec):
            return held
        with partial_folder(self.partial) as building:
            await self._build(building, spec, paths, progress)
            return await asyncio.to_thread(_publish, building, entry, spec)

    async def _build(
        self,
        building: Path,
        spec: model_pb2.ModelSpec,
        paths: dict[str, Path],
        progress: Progress,
    ) -> None:
        slots = asyncio.Semaphore(_PARALLEL_FILES)
        folder = model_folder(building)
        folder.mkdir()

        async def bring(file: model_pb2.ModelFile) -> CachedFile:
            async with slots:
                linked = await self._bring(file, folder / paths[file.path], progress)
                return CachedFile(file.path, file.digest, linked)

        try:
            files = await run_all(bring(file) for file in spec.files)
            await asyncio.to_thread(write_record, building, Record(spec.name, files))
        except OSError as error:
            raise InvalidModel(f"cannot store a model's file: {error}") from None

    async def _bring(self, file: model_pb2.ModelFile, target: Path, progress: Progress) -> bool:
        """Make one file appear; tell whether it is linked."""
        with rpc_errors():
            located = await self._blobs.Locate(blob_pb2.LocateRequest(digest=file.digest))
        linked = await asyncio.to_thread(_link, located.path, target, file.size)
        if linked:
            progress(file.size)
        else:
            await download(self._blobs, file, target, progress)
        return linked


def _relative(path: str) -> Path:
    """Check a path that came with a model: it must stay inside the model's folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise InvalidModel(f"a model's file has the path {path!r}, which is not allowed")
    return Path(*parts)


def _link(located: str, target: Path, size: int) -> bool:
    """Make the store's file appear at `target` without a copy; False where it is not visible."""
    target.parent.mkdir(parents=True, exist_ok=True)
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


def _publish(building: Path, entry: Path, spec: model_pb2.ModelSpec) -> HeldFolder:
    """Rename a complete entry into place, over one that lost its files, and hold it."""
    held = hold(building)
    try:
        building.rename(entry)
    except OSError:
        if other := hold_whole(entry, spec):  # another worker was faster
            return other
        entry.rename(building.with_name(f"{building.name}-broken"))
        building.rename(entry)
    held.path = model_folder(entry)
    return held
