"""A Blob service in this process, over a folder."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from common.rpc import Server, open_channel
from protos.paddock.v1 import blob_pb2_grpc
from services.blob.collection import Collector
from services.blob.servicer import BlobServicer
from store.folder import FolderStore
from tests.services.blob.helpers import Blobs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def store(root: Path) -> FolderStore:
    return FolderStore(root)


@pytest.fixture
async def blobs(store: FolderStore, tmp_path: Path) -> AsyncIterator[Blobs]:
    server = Server()
    servicer = BlobServicer(store, Collector(store, timedelta(hours=1)))
    blob_pb2_grpc.add_BlobServiceServicer_to_server(servicer, server.grpc)
    address = await server.start(f"unix:{tmp_path}/blob.sock", "paddock.v1.BlobService")
    await server.set_serving(True)
    async with open_channel(address) as channel:
        stub: Blobs = blob_pb2_grpc.BlobServiceStub(channel)
        yield stub
    await server.stop(1)
