import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from common.errors import InvalidRequest
from common.rpc import open_channel
from protos.paddock.v1 import blob_pb2_grpc, model_pb2
from tests.workers.blobs import FolderBlobs, fetch_model
from tests.workers.fakes import FakeFactory
from tests.workers.harness import MINUTE, completion, running_worker
from workers.cache import FileCache
from workers.cache_entry import hold
from workers.cache_pruning import CachePruning


@pytest.fixture
async def pruning(
    tmp_path: Path, blobs: FolderBlobs, cache: FileCache
) -> AsyncIterator[CachePruning]:
    async with open_channel(f"unix:{tmp_path}/blob.sock") as channel:
        yield CachePruning(cache.models, cache.partial, blob_pb2_grpc.BlobServiceStub(channel))


async def fetch_entry(cache: FileCache, spec: model_pb2.ModelSpec) -> Path:
    """Fetch a model and let it go again; give its entry."""
    folder = await fetch_model(cache, spec)
    folder.release()
    return folder.path.parent


def delete(blobs: FolderBlobs) -> None:
    """Take all blobs out of the store, as a deleted model's are."""
    for path in blobs.paths.values():
        path.unlink()
    blobs.paths.clear()


@pytest.mark.parametrize("visible", [True, False], ids=["linked", "copied"])
async def test_a_model_goes_with_its_blobs(
    pruning: CachePruning,
    cache: FileCache,
    blobs: FolderBlobs,
    spec: model_pb2.ModelSpec,
    visible: bool,
) -> None:
    blobs.visible = visible
    entry = await fetch_entry(cache, spec)
    await pruning.prune()
    assert entry.exists()
    delete(blobs)
    await pruning.prune()
    assert not entry.exists()
    assert not list(cache.partial.iterdir())


async def test_blobs_that_came_back_are_linked_anew(
    pruning: CachePruning, cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec
) -> None:
    """The deleted model was pulled again: the old files would take their room twice."""
    entry = await fetch_entry(cache, spec)
    for path in blobs.paths.values():
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    await pruning.prune()
    assert not entry.exists()


async def test_symbolic_links_that_lead_nowhere(
    pruning: CachePruning, cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec
) -> None:
    entry = await fetch_entry(cache, spec)
    for path in blobs.paths.values():  # as on another file system
        link = entry / "model" / path.relative_to(next(iter(blobs.paths.values())).parents[0])
        link.unlink()
        link.symlink_to(path)
    await pruning.prune()
    assert entry.exists()
    next(iter(blobs.paths.values())).unlink()
    await pruning.prune()
    assert not entry.exists()


async def test_what_is_used_stays_until_it_is_released(
    pruning: CachePruning, cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec
) -> None:
    one = await fetch_model(cache, spec)
    two = await fetch_model(cache, spec)
    delete(blobs)
    for folder in (one, two):
        await pruning.prune()
        assert (folder.path / "config.json").exists()
        folder.release()
    await pruning.prune()
    assert not one.path.exists()


async def test_a_store_that_does_not_answer_keeps_everything(
    pruning: CachePruning, cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec
) -> None:
    blobs.visible = False
    entry = await fetch_entry(cache, spec)
    delete(blobs)
    blobs.failure = InvalidRequest("not now")
    await pruning.prune()
    assert entry.exists()


async def test_an_entry_of_another_layout_goes(pruning: CachePruning, cache: FileCache) -> None:
    entry = cache.models / ("a" * 64)
    entry.mkdir()
    (entry / "config.json").write_text("{}")
    await pruning.prune()
    assert not entry.exists()


async def test_pruning_beside_loading(
    pruning: CachePruning, cache: FileCache, spec: model_pb2.ModelSpec
) -> None:
    """What was fetched is there as long as it is held, though it is pruned all the time."""
    (cache.models / spec.weights).mkdir()
    pruned = asyncio.create_task(pruning.prune_for_ever(0))
    for _ in range(50):
        folder = await fetch_model(cache, spec)
        (folder.path.parent / "record.json").unlink(missing_ok=True)  # to be pruned
        await asyncio.sleep(0.002)
        assert (folder.path / "config.json").exists()
        folder.release()
    pruned.cancel()
    with suppress(asyncio.CancelledError):
        await pruned


async def test_another_process_may_use_it(
    pruning: CachePruning, cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec
) -> None:
    entry = await fetch_entry(cache, spec)
    delete(blobs)
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold_for_ever, args=(entry, held))
    process.start()
    try:
        assert await asyncio.to_thread(held.wait, 30)
        await pruning.prune()
        assert entry.exists()
    finally:
        process.kill()
        process.join()
    await pruning.prune()
    assert not entry.exists()


def hold_for_ever(entry: Path, held: "multiprocessing.synchronize.Event") -> None:
    folder = hold(entry)
    held.set()
    multiprocessing.Event().wait()
    folder.release()


async def test_a_loaded_model_keeps_its_files_until_it_is_unloaded(
    pruning: CachePruning,
    cache: FileCache,
    blobs: FolderBlobs,
    spec: model_pb2.ModelSpec,
    tmp_path: Path,
) -> None:
    async with running_worker(tmp_path, FakeFactory(), files=cache, keep_alive=MINUTE) as worker:
        await worker.ask(spec, completion("abc", num_predict=3))
        delete(blobs)
        await pruning.prune()
        assert (cache.models / spec.weights).exists()
        await worker.models.unload(spec.digest)
        await pruning.prune()
        assert not (cache.models / spec.weights).exists()
