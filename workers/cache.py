"""Models' files on this worker's disk: `<cache>/models/<weights>/<path>`.

A folder is built under another name and renamed when it is complete, so that one that
exists is whole, whoever was killed when. Workers may share a disk: the first rename wins.
"""

import asyncio
import fcntl
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from uuid import uuid4

from common.errors import InvalidModel
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc, model_pb2
from workers.download import download

_PARALLEL_FILES = 8
_WEIGHTS = re.compile(r"[0-9a-f]{64}")

Progress = Callable[[int], None]


class FileCache:
    """Brings models' files from the store."""

    def __init__(self, root: Path, blobs: blob_pb2_grpc.BlobServiceStub) -> None:
        self._models = root / "models"
        self._partial = root / "partial"
        self._blobs = blobs
        for folder in (self._models, self._partial):
            folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(self._partial)

    async def fetch(self, spec: model_pb2.ModelSpec, progress: Progress) -> Path:
        """Give the folder with a model's files, fetched first where it is not here.

        `progress` is told of each piece's bytes as they arrive.

        Raises:
            InvalidModel: a path leaves the folder, or the files contradict each other.
            DigestMismatch: bytes arrived that are not the file's.
            BlobNotFound: the store lacks one.
        """
        if not _WEIGHTS.fullmatch(spec.weights):
            raise InvalidModel("the model's weights have no valid identity")
        paths = {file.path: _relative(file.path) for file in spec.files}
        folder = self._models / spec.weights
        if await asyncio.to_thread(_is_whole, folder, spec):
            return folder
        with _building(self._partial) as building:
            await self._build(building, spec, paths, progress)
            await asyncio.to_thread(_publish, building, folder, spec)
        return folder

    async def _build(
        self,
        building: Path,
        spec: model_pb2.ModelSpec,
        paths: dict[str, Path],
        progress: Progress,
    ) -> None:
        slots = asyncio.Semaphore(_PARALLEL_FILES)

        async def bring(file: model_pb2.ModelFile) -> None:
            async with slots:
                await self._bring(file, building / paths[file.path], progress)

        try:
            async with asyncio.TaskGroup() as group:
                for file in spec.files:
                    group.create_task(bring(file))
        except* OSError as group_error:
            raise InvalidModel(f"cannot store a model's file: {_first(group_error)}") from None
        except* Exception as group_error:
            raise _first(group_error) from None

    async def _bring(self, file: model_pb2.ModelFile, target: Path, progress: Progress) -> None:
        with rpc_errors():
            located = await self._blobs.Locate(blob_pb2.LocateRequest(digest=file.digest))
        linked = await asyncio.to_thread(_link, located.path, target, file.size)
        if linked:
            progress(file.size)
            return
        await download(self._blobs, file, target, progress)


def _relative(path: str) -> Path:
    """Check a path that came with a model: it must stay inside the model's folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise InvalidModel(f"a model's file has the path {path!r}, which is not allowed")
    return Path(*parts)


def _is_whole(folder: Path, spec: model_pb2.ModelSpec) -> bool:
    """Tell whether all files are there; one that was linked may have left the store since."""
    try:
        return all((folder / file.path).stat().st_size == file.size for file in spec.files)
    except OSError:
        return False


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


def _publish(building: Path, folder: Path, spec: model_pb2.ModelSpec) -> None:
    """Rename a complete folder into place, over one that lost its files."""
    try:
        building.rename(folder)
    except OSError:
        if _is_whole(folder, spec):  # another worker was faster
            return
        folder.rename(building.with_name(f"{building.name}-broken"))
        building.rename(folder)


@contextmanager
def _building(parent: Path) -> Iterator[Path]:
    """Give a new folder to build in; what is left of it goes at the end.

    A lock that the kernel drops with the process tells others that somebody builds there.
    """
    name = uuid4().hex
    lock = parent / f"{name}.lock"
    with lock.open("wb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        folder = parent / name
        folder.mkdir()
        try:
            yield folder
        finally:
            _remove(parent, name)


def _remove_leftovers(parent: Path) -> None:
    for lock in parent.glob("*.lock"):
        try:
            with lock.open("rb") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(parent, lock.stem)
        except OSError:  # somebody builds there, or was faster to clean up
            continue


def _remove(parent: Path, name: str) -> None:
    shutil.rmtree(parent / name, ignore_errors=True)
    shutil.rmtree(parent / f"{name}-broken", ignore_errors=True)
    (parent / f"{name}.lock").unlink(missing_ok=True)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
