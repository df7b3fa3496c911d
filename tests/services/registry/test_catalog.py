"""Models by name, where several registries and Blob services share one store."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common.errors import InvalidModel
from common.names import ModelName
from common.rpc import open_channel
from common.server import Server
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc
from services.blob.collection import Collector
from services.blob.servicer import BlobServicer
from services.registry.blob_client import BlobClient
from services.registry.catalog import Catalog
from services.registry.manifest import Descriptor, Manifest
from services.registry.media_types import CONFIG
from store.folder import FolderStore
from store.folder_deletion import FolderDeletion
from store.interface import Manifest as StoredManifest

MODEL, OTHER = ModelName.parse("model"), ModelName.parse("other")


class BusyStore(FolderStore):
    """Something else happens before blobs are announced to go, and when manifests are listed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.meanwhile: Callable[[str], None] = lambda _: None
        """Called with "before" or "listed"."""

    @contextmanager
    def deleting(self, digests: Collection[str]) -> Iterator[FolderDeletion]:
        self.meanwhile("before")
        with super().deleting(digests) as deletion:
            yield deletion

    def list_manifests(self) -> Iterator[StoredManifest]:
        yield from super().list_manifests()
        self.meanwhile("listed")


class Gated(BlobServicer):
    """Writes no manifest before the gate is opened."""

    def __init__(self, store: FolderStore) -> None:
        super().__init__(store, Collector(store, timedelta(hours=1)))
        self.gate = asyncio.Event()
        self.arrived = asyncio.Event()

    async def WriteManifest(
        self, request: blob_pb2.WriteManifestRequest, context: Any
    ) -> blob_pb2.StoredManifest:
        self.arrived.set()
        await self.gate.wait()
        return await super().WriteManifest(request, context)


@asynccontextmanager
async def serving(servicer: BlobServicer) -> AsyncIterator[BlobClient]:
    server = Server()
    blob_pb2_grpc.add_BlobServiceServicer_to_server(servicer, server.grpc)
    async with open_channel(await server.start("127.0.0.1:0")) as channel:
        yield BlobClient(channel)
    await server.stop(0)


async def write_model(blobs: BlobClient, config: bytes = b"{}") -> bytes:
    """Store what a model needs; give its manifest."""
    written = await blobs.write(config)
    described = Descriptor(media_type=CONFIG, digest=written.digest, size=written.size)
    return Manifest(config=described).encode()


@pytest.mark.parametrize(("moment", "is_saved"), [("before", True), ("listed", False)])
async def test_a_model_is_complete_or_it_is_refused(
    tmp_path: Path, moment: str, is_saved: bool
) -> None:
    """Saved by one process while another deletes a model that was saved after it had begun."""
    store, loop = BusyStore(tmp_path), asyncio.get_running_loop()
    slow, fast = Gated(FolderStore(tmp_path)), Gated(store)
    fast.gate.set()
    async with serving(slow) as slow_blobs, serving(fast) as blobs:
        catalog, slow_catalog = Catalog(blobs), Catalog(slow_blobs)
        content = await write_model(blobs)
        saving = asyncio.create_task(slow_catalog.save(OTHER, content))
        await slow.arrived.wait()
        await catalog.save(MODEL, content)
        ended = threading.Event()
        saving.add_done_callback(lambda _: ended.set())

        def save_meanwhile(now: str) -> None:
            if now == moment:
                loop.call_soon_threadsafe(slow.gate.set)
                assert ended.wait(1) == is_saved

        stored = await catalog.find(MODEL)
        assert stored
        store.meanwhile = save_meanwhile
        await catalog.remove(stored)
        if is_saved:
            await saving
        else:
            with pytest.raises(InvalidModel, match="is not stored"):
                await saving
        assert bool(await catalog.find(OTHER)) == is_saved
        assert bool(list(store.list_blobs())) == is_saved


async def test_a_change_ends_when_nobody_goes_by_the_old_model_any_more(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    async with serving(BlobServicer(store, Collector(store, timedelta(hours=1)))) as blobs:
        catalog, lease = Catalog(blobs, lease=0.5), 0.5
        first, second = await write_model(blobs), await write_model(blobs, b'{"a": 1}')

        async def seconds(change: Coroutine[Any, Any, None]) -> float:
            began = time.monotonic()
            await change
            return time.monotonic() - began

        assert await seconds(catalog.save(MODEL, first)) < lease, "nobody knew it"
        assert await seconds(catalog.save(MODEL, second)) >= lease
        stored = await catalog.find(MODEL)
        assert stored
        assert await seconds(catalog.remove(stored)) >= lease
