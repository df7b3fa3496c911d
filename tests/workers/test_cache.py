import asyncio
import errno
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from common.errors import BlobNotFound, DigestMismatch, InvalidModel, LoadFailed, OutOfMemory
from common.rpc import open_channel
from protos.paddock.v1 import blob_pb2_grpc, model_pb2
from tests.workers.blobs import FolderBlobs, fetch_model
from workers.cache import FileCache
from workers.download.downloads import Wanted
from workers.download.process import DownloadProcess
from workers.download.settings import DownloadLimits


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_files_in_sight_are_linked(
    cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    arrived: list[int] = []
    folder = (await fetch_model(cache, spec, arrived.append)).path
    assert contents(folder) == contents(tmp_path / "source")
    assert blobs.reads == 0
    assert (folder / "config.json").samefile(tmp_path / "source" / "config.json")
    assert sum(arrived) == sum(file.size for file in spec.files)


async def test_files_out_of_sight_are_streamed(
    cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    blobs.visible = False
    arrived: list[int] = []
    folder = (await fetch_model(cache, spec, arrived.append)).path
    assert contents(folder) == contents(tmp_path / "source")
    assert blobs.reads == 2
    assert sum(arrived) == sum(file.size for file in spec.files)


async def test_a_folder_that_is_here_is_used_again(
    cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec
) -> None:
    first = await fetch_model(cache, spec)
    asked = blobs.locates
    assert (await fetch_model(cache, spec)).path == first.path
    assert blobs.locates == asked


async def test_a_folder_that_lost_a_file_is_built_again(
    cache: FileCache, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    folder = (await fetch_model(cache, spec)).path
    (folder / "config.json").unlink()
    await fetch_model(cache, spec)
    assert contents(folder) == contents(tmp_path / "source")


async def test_a_cache_that_somebody_cleared(
    cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    for visible in (True, False):
        blobs.visible = visible
        folder = (await fetch_model(cache, spec)).path
        assert contents(folder) == contents(tmp_path / "source")
        shutil.rmtree(cache.models.parent)


async def test_damaged_bytes_never_appear(
    cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    blobs.visible, blobs.damaged = False, True
    with pytest.raises(DigestMismatch):
        await fetch_model(cache, spec)
    assert not list(cache.partial.iterdir())
    assert not list(cache.models.iterdir())


async def test_a_file_that_is_not_stored(
    cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec
) -> None:
    blobs.paths.clear()
    with pytest.raises(BlobNotFound):
        await fetch_model(cache, spec)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a\\..\\x", "x\0y"])
async def test_a_path_that_leaves_the_folder(
    cache: FileCache, spec: model_pb2.ModelSpec, path: str
) -> None:
    spec.files[0].path = path
    with pytest.raises(InvalidModel, match="not allowed"):
        await fetch_model(cache, spec)


async def test_files_that_contradict_each_other(
    cache: FileCache, spec: model_pb2.ModelSpec
) -> None:
    spec.files[0].path = spec.files[1].path + "/x"
    with pytest.raises(InvalidModel):
        await fetch_model(cache, spec)


@pytest.mark.parametrize("weights", ["", "../../x", "A" * 64])
async def test_weights_without_identity(
    cache: FileCache, spec: model_pb2.ModelSpec, weights: str
) -> None:
    spec.weights = weights
    with pytest.raises(InvalidModel):
        await fetch_model(cache, spec)


async def test_leftovers_go_at_the_start_and_work_in_progress_stays(
    cache: FileCache, spec: model_pb2.ModelSpec, blobs: FolderBlobs, tmp_path: Path
) -> None:
    partial = tmp_path / "cache" / "partial"
    (partial / "dead").mkdir()
    (partial / "dead.lock").touch()
    blobs.visible = False
    async with open_channel(f"unix:{tmp_path}/blob.sock") as channel:
        stub: blob_pb2_grpc.BlobServiceStub = blob_pb2_grpc.BlobServiceStub(channel)
        fetching = asyncio.create_task(fetch_model(cache, spec))
        while len(list(partial.glob("*.lock"))) < 2:
            await asyncio.sleep(0)
        FileCache(tmp_path / "cache", stub, DownloadProcess("", DownloadLimits()))
        assert not (partial / "dead").exists()
        assert contents((await fetching).path) == contents(tmp_path / "source")


async def test_two_workers_on_one_disk(
    cache: FileCache, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    folders = await asyncio.gather(*(fetch_model(cache, spec) for _ in range(5)))
    assert len({folder.path for folder in folders}) == 1
    assert contents(folders[0].path) == contents(tmp_path / "source")
    assert not list((tmp_path / "cache" / "partial").iterdir())


async def test_what_a_power_cut_may_have_damaged_is_fetched_again(
    cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec
) -> None:
    """An entry counts in a later run of the machine only if it had come to the disk."""
    blobs.visible = False
    record = (await fetch_model(cache, spec)).path.parent / "record.json"
    while json.loads(record.read_bytes())["boot"]:
        await asyncio.sleep(0.01)
    assert await cache.find(spec.weights)

    written = json.loads(record.read_bytes())
    record.write_text(json.dumps(written | {"boot": "an earlier one"}))
    assert await cache.find(spec.weights) is None
    before = blobs.reads
    assert await fetch_model(cache, spec)
    assert blobs.reads == before + 2


@pytest.mark.parametrize("boot", [None, "an earlier one"])
async def test_going_on_after_a_power_cut_trusts_no_copy(
    cache: FileCache,
    blobs: FolderBlobs,
    spec: model_pb2.ModelSpec,
    tmp_path: Path,
    boot: str | None,
) -> None:
    """A file of the right size may have lost its bytes."""
    blobs.visible = False
    building = cache.partial / spec.weights
    for file in spec.files:
        copy = building / "model" / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(bytes(file.size))
    if boot:
        (building / "boot").write_text(boot)
    folder = (await fetch_model(cache, spec)).path
    assert contents(folder) == contents(tmp_path / "source")
    assert not (folder.parent / "boot").exists()


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (errno.ENOSPC, OutOfMemory, "disk is full: test:latest has 0.3 MB"),
        (errno.EIO, LoadFailed, "cannot store the files of test:latest"),
    ],
)
async def test_a_disk_that_cannot_be_written(
    blobs: FolderBlobs,
    spec: model_pb2.ModelSpec,
    tmp_path: Path,
    number: int,
    kind: type[Exception],
    text: str,
) -> None:
    class BrokenDisk:
        async def bring(self, wanted: Sequence[Wanted], received: Callable[[int], None]) -> None:
            wanted[0].path.touch()
            raise OSError(number, "the disk's own words")

    blobs.visible = False
    async with open_channel(f"unix:{tmp_path}/blob.sock") as channel:
        stub: blob_pb2_grpc.BlobServiceStub = blob_pb2_grpc.BlobServiceStub(channel)
        cache = FileCache(tmp_path / "cache", stub, BrokenDisk())
        with pytest.raises(kind, match=text):
            await fetch_model(cache, spec)
    assert not list(cache.partial.iterdir())


async def test_a_manifest_that_lies_about_a_size(
    cache: FileCache, spec: model_pb2.ModelSpec
) -> None:
    spec.files[0].size += 1
    with pytest.raises(InvalidModel, match="has 2 bytes instead of 3"):
        await fetch_model(cache, spec)
