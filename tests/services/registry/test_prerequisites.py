"""Files and models that have to be in the store before a model is made of them."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protos.paddock.v1 import registry_pb2
from services.registry.catalog import Catalog
from services.registry.contents import Contents
from services.registry.creation_request import check_request
from services.registry.prerequisites import Prerequisites
from services.registry.remote.client import RemoteClient, RemoteSettings
from services.registry.remote.pull import Puller
from tests.services.registry.model_folders import llama
from tests.services.registry.running import Registry, blob_path, digest_of


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "files"
    folder.mkdir()
    for path, content in llama().items():
        (folder / path).write_bytes(content)
    return {path: folder / path for path in llama()}


@pytest.fixture
async def puller(registry: Registry) -> AsyncIterator[Puller]:
    async with RemoteClient(RemoteSettings()) as client:
        yield Puller(registry.blobs, Contents(registry.blobs), Catalog(registry.blobs), client)


def is_old(blob: Path) -> bool:
    return blob.stat().st_mtime == 0


async def becomes_young(blob: Path) -> None:
    os.utime(blob, (0, 0))
    async with asyncio.timeout(30):
        while is_old(blob):
            await asyncio.sleep(0.01)


async def test_a_long_import_loses_nothing_to_collection(
    registry: Registry, puller: Puller, files: dict[str, Path]
) -> None:
    [uploaded] = (await registry.upload({"adapter.gguf": b"GGUF"})).values()
    message = registry_pb2.CreateRequest(model="x", adapters={"adapter.gguf": uploaded})
    request = check_request(message, files, {})
    catalog = Catalog(registry.blobs)
    sources = Prerequisites(registry.blobs, catalog, puller, request, keep_interval=0.01)
    async for progress in sources.run():
        if progress.digest:
            await becomes_young(blob_path(registry.folder, progress.digest))
            await becomes_young(blob_path(registry.folder, uploaded))
    assert sources.files == {path: digest_of(content) for path, content in llama().items()}
    assert list(sources.adapters.values()) == [uploaded]
