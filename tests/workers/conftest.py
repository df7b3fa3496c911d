import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.rpc import open_channel
from protos.paddock.v1 import blob_pb2_grpc, model_pb2
from tests.workers.blobs import FolderBlobs, serve_blobs
from tests.workers.fakes import FakeFactory
from tests.workers.harness import Worker, running_worker
from workers.cache import FileCache
from workers.download.process import DownloadProcess
from workers.download.settings import DownloadLimits


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    async with running_worker(tmp_path, FakeFactory()) as running:
        yield running


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FolderBlobs]:
    blobs = FolderBlobs()  # type: ignore[abstract]
    server = await serve_blobs(blobs, f"unix:{tmp_path}/blob.sock")
    yield blobs
    await server.stop(0)


@pytest.fixture
async def cache(tmp_path: Path, blobs: FolderBlobs) -> AsyncIterator[FileCache]:
    address = f"unix:{tmp_path}/blob.sock"
    downloader = DownloadProcess(address, DownloadLimits())
    async with open_channel(address) as channel:
        blobs_stub = blob_pb2_grpc.BlobServiceStub(channel)
        yield FileCache(tmp_path / "cache", blobs_stub, downloader)


@pytest.fixture
def spec(tmp_path: Path, blobs: FolderBlobs) -> model_pb2.ModelSpec:
    folder = tmp_path / "source"
    (folder / "part").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "part" / "weights.bin").write_bytes(os.urandom(300_000))
    return blobs.add_model(folder)


@pytest.fixture(scope="session")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where engines leave the reasons of failed starts: one folder, as they share a fork server."""
    return tmp_path_factory.mktemp("failures")
