"""From a real S3 server: presigned URLs from the Blob service, bytes from the bucket."""

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common.errors import BlobNotFound
from common.rpc import open_channel
from common.server import Server
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc, model_pb2
from services.blob.collection import Collector
from services.blob.servicer import BlobServicer
from store.s3 import S3Store
from tests.servers.swift import Swift, running_swift
from tests.workers.blobs import fetch_model
from tests.workers.download.test_downloads import contents
from workers.cache import FileCache
from workers.download.process import DownloadProcess
from workers.download.settings import DownloadLimits

BUCKET = "models"
MEBIBYTE = 1 << 20


class Service(BlobServicer):
    """The service as it is; it counts who asks it for bytes."""

    reads = 0

    async def Read(
        self, request: blob_pb2.ReadRequest, context: Any
    ) -> AsyncIterator[blob_pb2.ReadResponse]:
        self.reads += 1
        async for response in super().Read(request, context):
            yield response


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    with running_swift(tmp_path_factory.mktemp("swift")) as running:
        running.client().create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(params=[timedelta(hours=1), timedelta(seconds=4)], ids=["long", "short"])
def store(swift: Swift, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> S3Store:
    """A store whose URLs live long, or so short that each range needs another."""
    for name, value in swift.environment.items():
        monkeypatch.setenv(name, value)
    return S3Store(BUCKET, url_lifetime=request.param)


@pytest.fixture
async def service(store: S3Store, tmp_path: Path) -> AsyncIterator[Service]:
    service = Service(store, Collector(store, timedelta(hours=1)))
    server = Server()
    blob_pb2_grpc.add_BlobServiceServicer_to_server(service, server.grpc)
    await server.start(f"unix:{tmp_path}/blob.sock", "paddock.v1.BlobService")
    yield service
    await server.stop(0)


@pytest.fixture
async def cache(tmp_path: Path, service: Service) -> AsyncIterator[FileCache]:
    address = f"unix:{tmp_path}/blob.sock"
    downloader = DownloadProcess(address, DownloadLimits(parallel=8, range_size=MEBIBYTE))
    async with open_channel(address) as channel:
        stub: blob_pb2_grpc.BlobServiceStub = blob_pb2_grpc.BlobServiceStub(channel)
        yield FileCache(tmp_path / "cache", stub, downloader)


@pytest.fixture
def spec(store: S3Store) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name="in a bucket", weights=os.urandom(32).hex())
    for path, size in (("config.json", 2), ("a/1", 5 * MEBIBYTE + 1), ("a/2", 3 * MEBIBYTE)):
        content = os.urandom(size)
        with store.begin_upload() as upload:
            upload.write(content)
            digest, _ = upload.commit()
        spec.files.add(path=path, digest=digest, size=size)
    return spec


async def test_a_model_is_read_from_the_bucket(
    cache: FileCache, service: Service, spec: model_pb2.ModelSpec
) -> None:
    arrived: list[int] = []
    folder = (await fetch_model(cache, spec, arrived.append)).path
    assert {path: _digest(content) for path, content in contents(folder).items()} == {
        file.path: file.digest for file in spec.files
    }
    assert sum(arrived) == sum(file.size for file in spec.files)
    assert service.reads == 0


async def test_a_blob_that_is_not_in_the_bucket(
    cache: FileCache, spec: model_pb2.ModelSpec
) -> None:
    spec.files[0].digest = f"sha256:{'0' * 64}"
    with pytest.raises(BlobNotFound):
        await fetch_model(cache, spec)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
