"""Several Blob services over one store: what one collects, another one's model may name."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from common.errors import BlobNotFound, ModelNotFound
from common.names import ModelName
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2
from services.blob.collection import Collector
from services.blob.manifest import named_blobs
from store.folder import FolderStore
from store.interface import Manifest, Store
from store.s3 import S3Store
from tests.services.blob.helpers import Blobs, digest_of, manifest, put, serving_blobs
from tests.store.buckets import BUCKET, Place

MODEL, CHILD, OTHER = (ModelName.parse(name) for name in ("model", "child", "other"))
GRACE = timedelta(hours=1)


class Watched(Store):
    """Does something else before it announces blobs to go, and when it then has listed."""

    is_announcing = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.meanwhile: Callable[[str], None] = lambda _: None
        """Called with "before" or "listed"."""

    @contextmanager
    def deleting(self, digests: Collection[str]) -> Iterator[Any]:
        self.meanwhile("before")
        with super().deleting(digests) as deletion:  # type: ignore[safe-super]
            self.is_announcing = True
            yield deletion
        self.is_announcing = False

    def list_manifests(self) -> Iterator[Manifest]:
        yield from super().list_manifests()  # type: ignore[safe-super]
        if self.is_announcing:
            self.meanwhile("listed")


class WatchedFolder(Watched, FolderStore):
    """In a folder."""


class WatchedBucket(Watched, S3Store):
    """In a bucket."""


WatchedStore: TypeAlias = WatchedFolder | WatchedBucket


@pytest.fixture(params=["folder", "s3"])
def open_store(request: pytest.FixtureRequest, root: Path) -> Callable[[], WatchedStore]:
    """Give a function that opens one and the same store, as another process would."""
    if request.param == "folder":
        return lambda: WatchedFolder(root)
    place: Place = request.getfixturevalue("place")
    return lambda: WatchedBucket(BUCKET, place.prefix)


@pytest.fixture
async def services(
    open_store: Callable[[], WatchedStore], tmp_path: Path
) -> AsyncIterator[list[tuple[WatchedStore, Blobs]]]:
    """Two services, each with its own view of the store."""
    async with AsyncExitStack() as running:
        services = []
        for number in range(2):
            store = open_store()
            address = f"unix:{tmp_path}/{number}.sock"
            stub = await running.enter_async_context(serving_blobs(store, address))
            services.append((store, stub))
        yield services


async def write_manifest(blobs: Blobs, name: ModelName, *digests: str) -> blob_pb2.StoredManifest:
    content = manifest(*digests)
    request = blob_pb2.WriteManifestRequest(name=name.to_proto(), content=content)
    return await blobs.WriteManifest(request)


async def is_stored(blobs: Blobs, digest: str) -> bool:
    try:
        with rpc_errors():
            await blobs.Stat(blob_pb2.StatRequest(digest=digest))
    except BlobNotFound:
        return False
    return True


async def release(blobs: Blobs, model: ModelName, stored: blob_pb2.StoredManifest) -> int:
    """Delete a model and what only it needed; give the number of blobs that went."""
    await blobs.DeleteManifest(blob_pb2.DeleteManifestRequest(name=model.to_proto()))
    request = blob_pb2.CollectRequest(
        digests=named_blobs(stored.content), released_at=stored.modified_at
    )
    return (await blobs.Collect(request)).blobs


async def find(blobs: Blobs, name: str) -> blob_pb2.StoredManifest:
    """Read a manifest whose name may be spelled otherwise."""
    request = blob_pb2.ReadManifestRequest(name=ModelName.parse(name).to_proto(), any_case=True)
    with rpc_errors():
        return await blobs.ReadManifest(request)


async def listed(blobs: Blobs) -> list[blob_pb2.StoredManifest]:
    pages = blobs.ListManifests(blob_pb2.ListManifestsRequest())
    return [manifest async for page in pages for manifest in page.manifests]


async def test_a_model_that_was_made_through_one_is_found_through_the_other(
    services: list[tuple[WatchedStore, Blobs]],
) -> None:
    """As by a client whose requests are balanced; also in a list, and in another spelling."""
    (_, first), (_, second) = services
    digest = await put(first, CONTENTS[0])
    assert await listed(second) == []
    for name in ("Team/Model:Q4", "team/other"):
        written = await write_manifest(first, ModelName.parse(name), digest)
        for blobs in (second, first):
            assert await find(blobs, name.swapcase()) == written
            assert written in await listed(blobs)
    for blobs in (second, first):
        with pytest.raises(ModelNotFound, match="nobody:latest"):
            await find(blobs, "nobody")
    gone = ModelName.parse("Team/Model:Q4").to_proto()
    await second.DeleteManifest(blob_pb2.DeleteManifestRequest(name=gone))
    for blobs in (first, second):
        assert [manifest.name.model for manifest in await listed(blobs)] == ["other"]
        with pytest.raises(ModelNotFound):
            await find(blobs, "TEAM/MODEL:q4")


async def test_an_exact_name_goes_before_other_spellings(
    services: list[tuple[WatchedStore, Blobs]],
) -> None:
    (_, first), (_, second) = services
    digest = await put(first, CONTENTS[0])
    for name in ("model", "Model", "MODEL"):
        await write_manifest(first, ModelName.parse(name), digest)
    assert (await find(second, "model")).name.model == "model"
    assert (await find(second, "mOdEl")).name.model == "MODEL"


CONTENTS = [b"shared", b"config of the model", b"config of the child"]


@pytest.mark.parametrize(("moment", "stays"), [("before", True), ("listed", False)])
async def test_a_manifest_is_written_while_its_blob_is_released(
    services: list[tuple[WatchedStore, Blobs]], moment: str, stays: bool
) -> None:
    """Its writer retained the blob before it was released, and finds out what became of it.

    What is written before the blob is announced to go is found when manifests are read
    then, and who writes later hears nothing before the blob has gone.
    """
    (collecting, first), (_, second) = services
    loop = asyncio.get_running_loop()
    digest = await put(second, CONTENTS[0])

    async def save_and_look() -> bool:
        await write_manifest(second, OTHER, digest)
        return await is_stored(second, digest)

    def save_meanwhile(now: str) -> None:
        if now == moment:
            saving.append(asyncio.run_coroutine_threadsafe(save_and_look(), loop))
            wait(saving, timeout=1)
            assert saving[0].done() == stays

    saving: list[Future[bool]] = []
    collecting.meanwhile = save_meanwhile
    stored = await write_manifest(first, MODEL, digest)
    went = await release(first, MODEL, stored)
    looked = await asyncio.wrap_future(saving[0])
    assert looked == stays
    assert went == (0 if stays else 1)
    assert await is_stored(second, digest) == stays


async def test_what_a_child_shared_goes_with_its_parent(
    services: list[tuple[WatchedStore, Blobs]],
) -> None:
    (_, first), (_, second) = services
    shared, config, other_config = [await put(first, content) for content in CONTENTS]
    parent = await write_manifest(first, MODEL, config, shared)
    await asyncio.sleep(0.02)
    await second.Retain(blob_pb2.RetainRequest(digests=[shared, other_config]))
    child = await write_manifest(second, CHILD, other_config, shared)
    assert await release(second, CHILD, child) == 1
    assert await is_stored(first, shared)
    assert await release(first, MODEL, parent) == 2
    assert not await is_stored(first, shared)


async def test_what_somebody_wants_outlives_child_and_parent(
    services: list[tuple[WatchedStore, Blobs]],
) -> None:
    (_, first), (_, second) = services
    shared, config, other_config = [await put(first, content) for content in CONTENTS]
    parent = await write_manifest(first, MODEL, config, shared)
    child = await write_manifest(second, CHILD, other_config, shared)
    await asyncio.sleep(0.02)
    await second.Retain(blob_pb2.RetainRequest(digests=[shared]))
    assert await release(second, CHILD, child) == 1
    assert await release(first, MODEL, parent) == 1
    assert await is_stored(first, shared)


def test_no_manifest_ever_names_a_blob_that_was_collected(
    open_store: Callable[[], WatchedStore],
) -> None:
    """Models that share blobs come and go while each service releases without mercy."""
    contents = [b"%d" % number for number in range(4)]
    rounds = 25 if isinstance(open_store(), FolderStore) else 4

    def live(seed: int) -> int:
        store, chance, saved = open_store(), random.Random(seed), 0
        collector = Collector(store, timedelta(seconds=10))
        name = ModelName.parse(f"model{seed}")
        for _ in range(rounds):
            chosen = chance.sample(contents, 2)
            for content in chosen:
                with store.begin_upload() as upload:
                    upload.write(content)
                    upload.commit()
            digests = {digest_of(content) for content in chosen}
            written = collector.write_manifest(name, manifest(*digests))
            if digests <= {blob.digest for blob in store.list_blobs()}:
                saved += 1
                assert digests <= {blob.digest for blob in store.list_blobs()}
            store.delete_manifest(name)
            collector.collect_released(digests, written.modified_at)
        return saved

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(live, range(4))) > rounds
