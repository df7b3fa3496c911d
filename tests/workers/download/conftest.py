import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.rpc import open_channel
from protos.paddock.v1 import blob_pb2_grpc, model_pb2
from tests.workers.blobs import FolderBlobs
from tests.workers.range_server import RangeServer, running_range_server
from workers.cache import FileCache
from workers.download.process import DownloadProcess
from workers.download.settings import DownloadLimits

RANGE = 64 * 1024

LIMITS = DownloadLimits(
    parallel=4,
    range_size=RANGE,
    connect_seconds=2,
    stall_seconds=0.3,
    attempts=4,
    first_delay_seconds=0.01,
    longest_delay_seconds=0.05,
)


@pytest.fixture
def spec(tmp_path: Path, blobs: FolderBlobs) -> model_pb2.ModelSpec:
    """A model of two files with ten ranges, and two without or with hardly any bytes."""
    folder = tmp_path / "source"
    (folder / "part").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "empty").touch()
    (folder / "part" / "1").write_bytes(os.urandom(5 * RANGE))
    (folder / "part" / "2").write_bytes(os.urandom(4 * RANGE + 1))
    return blobs.add_model(folder)


@pytest.fixture
async def server(blobs: FolderBlobs) -> AsyncIterator[RangeServer]:
    """A server whose URLs `blobs` gives."""
    async with running_range_server(blobs.paths) as server:
        blobs.urls = server.url
        yield server


@pytest.fixture
async def cache(tmp_path: Path, blobs: FolderBlobs) -> AsyncIterator[FileCache]:
    address = f"unix:{tmp_path}/blob.sock"
    downloader = DownloadProcess(address, LIMITS)
    async with open_channel(address) as channel:
        stub: blob_pb2_grpc.BlobServiceStub = blob_pb2_grpc.BlobServiceStub(channel)
        yield FileCache(tmp_path / "cache", stub, downloader)
