"""The cache stays within its size, and never takes what is in use."""

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from common.errors import InvalidModel, NoRoom, OutOfMemory
from common.rpc import open_channel
from protos.paddock.v1 import blob_pb2_grpc, model_pb2
from tests.workers.blobs import FolderBlobs, fetch_model
from tests.workers.fakes import FakeFactory
from tests.workers.harness import completion, names, running_worker
from workers.cache import FileCache
from workers.cache_entry import HeldFolder
from workers.download.process import DownloadProcess
from workers.download.settings import DownloadLimits

SIZE = 64 * 1024


@pytest.fixture
async def cache(tmp_path: Path, blobs: FolderBlobs) -> AsyncIterator[FileCache]:
    """A cache for two models, and some bytes about them."""
    address = f"unix:{tmp_path}/blob.sock"
    downloader = DownloadProcess(address, DownloadLimits())
    async with open_channel(address) as channel:
        stub: blob_pb2_grpc.BlobServiceStub = blob_pb2_grpc.BlobServiceStub(channel)
        yield FileCache(tmp_path / "cache", stub, downloader, 2 * SIZE + SIZE // 2)


@pytest.fixture
def specs(tmp_path: Path, blobs: FolderBlobs) -> list[model_pb2.ModelSpec]:
    """Models of which the cache has room for two."""
    blobs.visible = False
    return [add(blobs, tmp_path, name, SIZE) for name in "abc"]


def add(blobs: FolderBlobs, parent: Path, name: str, size: int) -> model_pb2.ModelSpec:
    folder = parent / "sources" / name
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(os.urandom(size))
    return blobs.add_model(folder, name)


async def use(cache: FileCache, spec: model_pb2.ModelSpec) -> None:
    (await fetch_model(cache, spec)).release()


def here(cache: FileCache, specs: list[model_pb2.ModelSpec]) -> str:
    return "".join(spec.name for spec in specs if (cache.models / spec.weights).exists())


async def test_the_least_recently_used_goes(
    cache: FileCache, specs: list[model_pb2.ModelSpec]
) -> None:
    a, b, c = specs
    await use(cache, a)
    await use(cache, b)
    assert here(cache, specs) == "ab"
    await use(cache, a)
    await use(cache, c)
    assert here(cache, specs) == "ac"
    assert not list(cache.partial.iterdir())


async def test_the_end_of_a_use_counts(cache: FileCache, specs: list[model_pb2.ModelSpec]) -> None:
    a, b, c = specs
    held = await fetch_model(cache, a)
    await use(cache, b)
    held.release()
    await use(cache, c)
    assert here(cache, specs) == "ac"


async def test_what_is_in_use_stays(cache: FileCache, specs: list[model_pb2.ModelSpec]) -> None:
    a, b, c = specs
    held = [await fetch_model(cache, a), await fetch_model(cache, b)]
    with pytest.raises(NoRoom, match="in use"):
        await use(cache, c)
    assert here(cache, specs) == "ab"
    held[1].release()
    await use(cache, c)
    assert here(cache, specs) == "ac"


async def test_an_idle_model_is_unloaded_for_its_files_room(
    cache: FileCache, specs: list[model_pb2.ModelSpec], tmp_path: Path
) -> None:
    async with running_worker(tmp_path, FakeFactory(), files=cache) as worker:
        for spec in specs:
            answer = await worker.ask(spec, completion("abc", num_predict=3))
            assert answer.text == "abc"
        assert names(await worker.until(lambda it: bool(it.models))) == {"b", "c"}
        assert here(cache, specs) == "bc"


async def test_no_idle_model_no_room(
    cache: FileCache, specs: list[model_pb2.ModelSpec], tmp_path: Path
) -> None:
    a, b, c = specs
    async with running_worker(tmp_path, FakeFactory(pace=0.01), files=cache) as worker:
        router = worker.router()
        for number, spec in enumerate((a, b)):
            router.start(number, spec, completion("abc", num_predict=1000))
        await worker.until(lambda it: [model.running for model in it.models] == [1, 1])
        while not all(answer.text for answer in router.answers.values()):
            assert await router.read()
        failure = (await worker.ask(c, completion("abc"))).failure
        assert failure
        assert failure.reason == "NoRoom"
        router.hang_up()


async def test_idle_models_whose_files_are_the_stores_own_stay(
    cache: FileCache, blobs: FolderBlobs, specs: list[model_pb2.ModelSpec], tmp_path: Path
) -> None:
    a, b, c = specs
    blobs.visible = True
    linked = add(blobs, tmp_path, "linked", SIZE)
    async with running_worker(tmp_path, FakeFactory(), files=cache) as worker:
        assert (await worker.ask(linked, completion("abc", num_predict=3))).text == "abc"
        blobs.visible = False
        for spec in (a, b, c):
            assert (await worker.ask(spec, completion("abc", num_predict=3))).text == "abc"
        # Its files take nothing of the disk: it would have been unloaded for nothing.
        found = await worker.until(lambda _: True)
        assert names(found) == {"linked", "b", "c"}


async def test_a_model_that_can_never_fit(
    cache: FileCache, blobs: FolderBlobs, specs: list[model_pb2.ModelSpec], tmp_path: Path
) -> None:
    await use(cache, specs[0])
    large = add(blobs, tmp_path, "large", 4 * SIZE)
    with pytest.raises(OutOfMemory) as refused:
        await use(cache, large)
    assert not isinstance(refused.value, NoRoom)
    text = re.escape("large needs 0.3 MB of the worker's disk, of which models may have 0.2 MB")
    assert re.search(text, refused.value.message)
    assert here(cache, specs) == "a"
    assert not list(cache.partial.iterdir())


async def test_the_stores_own_files_take_nothing(
    cache: FileCache, blobs: FolderBlobs, specs: list[model_pb2.ModelSpec], tmp_path: Path
) -> None:
    blobs.visible = True
    specs.append(add(blobs, tmp_path, "d", 10 * SIZE))
    for spec in specs:
        await use(cache, spec)
    assert here(cache, specs) == "abcd"


async def test_what_others_left_half_done_goes_for_room(
    cache: FileCache, specs: list[model_pb2.ModelSpec]
) -> None:
    left = cache.partial / ("e" * 64)
    left.mkdir()
    (left / "reserved").write_bytes(bytes(SIZE))
    await use(cache, specs[0])
    assert left.exists()
    await use(cache, specs[1])
    assert not left.exists()
    assert here(cache, specs) == "ab"


async def test_what_is_being_built_counts_with_all_that_it_will_take(
    cache: FileCache, specs: list[model_pb2.ModelSpec]
) -> None:
    async def build(folder: Path) -> None:
        with pytest.raises(NoRoom):
            await use(cache, specs[0])

    (await add_entry(cache, build, size=2 * SIZE)).release()
    await use(cache, specs[0])


async def test_what_is_built_is_held_and_found_again(
    cache: FileCache, specs: list[model_pb2.ModelSpec]
) -> None:
    built = []

    async def build(folder: Path) -> None:
        built.append(folder)
        (folder / "weights.bin").write_bytes(bytes(SIZE))

    held = await add_entry(cache, build)
    assert (held.path / "weights.bin").stat().st_size == SIZE
    assert (await add_entry(cache, build)).path == held.path
    found = await cache.find("f" * 64)
    assert found
    assert found.path == held.path
    assert len(built) == 1
    await use(cache, specs[0])
    await use(cache, specs[1])
    assert held.path.exists()


async def test_a_build_that_fails_leaves_nothing(cache: FileCache) -> None:
    async def build(folder: Path) -> None:
        (folder / "half").touch()
        raise InvalidModel("no such architecture")

    with pytest.raises(InvalidModel, match="architecture"):
        await add_entry(cache, build)
    assert await cache.find("f" * 64) is None
    assert not list(cache.partial.iterdir())


async def test_a_build_begins_in_an_empty_folder(cache: FileCache) -> None:
    left = cache.partial / ("f" * 64) / "model"
    left.mkdir(parents=True)
    (left / "half").touch()

    async def build(folder: Path) -> None:
        pass

    assert not list((await add_entry(cache, build)).path.iterdir())


async def add_entry(
    cache: FileCache, build: Callable[[Path], Awaitable[None]], size: int = SIZE
) -> HeldFolder:
    return await cache.add("f" * 64, build, name="built", size=size, sources=[])
