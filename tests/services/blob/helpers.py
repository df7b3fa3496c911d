"""What several tests of the Blob service need."""

import hashlib
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from common.client_stream import send_all
from common.names import ModelName
from common.rpc import open_channel
from common.server import Server
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc
from services.blob.collection import Collector
from services.blob.servicer import BlobServicer, add_to_server
from store.interface import Store

Blobs: TypeAlias = blob_pb2_grpc.BlobServiceStub
"""The stub; its type is known to type checkers only."""

NAME = ModelName.parse("llama3.2").to_proto()
UNKNOWN = f"sha256:{'0' * 64}"


@asynccontextmanager
async def serving_blobs(store: Store, address: str) -> AsyncIterator[Blobs]:
    """Run the service in this process."""
    server = Server()
    servicer = BlobServicer(store, Collector(store, timedelta(hours=1)))
    add_to_server(servicer, server.grpc)
    bound = await server.start(address, "paddock.v1.BlobService")
    await server.set_serving(True)
    async with open_channel(bound) as channel:
        stub: Blobs = blob_pb2_grpc.BlobServiceStub(channel)
        yield stub
    await server.stop(1)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def parts(
    *data: bytes,
    digest: str = "",
    size: int | None = None,
    keep: bool = False,
    offset: int = 0,
) -> Iterator[blob_pb2.WriteRequest]:
    """Make a write that states its digest, and its size where it has no digest to state."""
    if not digest and size is None:
        size = sum(map(len, data))
    header = blob_pb2.WriteHeader(digest=digest, size=size, keep=keep, offset=offset)
    yield blob_pb2.WriteRequest(header=header)
    for piece in data:
        yield blob_pb2.WriteRequest(data=piece)


def kept(content: bytes, *data: bytes, offset: int = 0) -> Iterator[blob_pb2.WriteRequest]:
    """Make a kept write of a blob that sends just these bytes of it."""
    return parts(*data, digest=digest_of(content), size=len(content), keep=True, offset=offset)


async def write(blobs: Blobs, requests: Iterable[blob_pb2.WriteRequest]) -> blob_pb2.WriteResponse:
    """Write as every process of ours does."""

    async def each() -> AsyncGenerator[blob_pb2.WriteRequest, None]:
        for request in requests:
            yield request

    return await send_all(blobs.Write(), each())


async def write_status(blobs: Blobs, content: bytes) -> blob_pb2.WriteStatusResponse:
    request = blob_pb2.WriteStatusRequest(digest=digest_of(content), size=len(content))
    return await blobs.WriteStatus(request)


async def put(blobs: Blobs, content: bytes) -> str:
    pieces = [content[start : start + 2**20] for start in range(0, len(content), 2**20)]
    return (await write(blobs, parts(*pieces, digest=digest_of(content)))).digest


def manifest(config: str, *layers: str) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "config": {"digest": config, "size": 1},
            "layers": [{"digest": layer, "size": 1} for layer in layers],
        }
    ).encode()


def age(root: Path, digest: str, hours: float) -> None:
    """Pretend that a blob was stored or retained that long ago."""
    age_file(root / "blobs" / digest.replace(":", "-"), hours)


def age_file(path: Path, hours: float) -> None:
    """Pretend that a file was written that long ago."""
    then = time.time() - 3600 * hours
    os.utime(path, (then, then))


def distant_future() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)
