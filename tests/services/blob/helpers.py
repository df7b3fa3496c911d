"""What several tests of the Blob service need."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from common.names import ModelName
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc

Blobs: TypeAlias = blob_pb2_grpc.BlobServiceStub
"""The stub; its type is known to type checkers only."""

NAME = ModelName.parse("llama3.2").to_proto()
UNKNOWN = f"sha256:{'0' * 64}"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def parts(
    *data: bytes, digest: str = "", size: int | None = None
) -> Iterator[blob_pb2.WriteRequest]:
    """Make a write that states its digest, and its size where it has no digest to state."""
    if not digest and size is None:
        size = sum(map(len, data))
    yield blob_pb2.WriteRequest(header=blob_pb2.WriteHeader(digest=digest, size=size))
    for piece in data:
        yield blob_pb2.WriteRequest(data=piece)


async def put(blobs: Blobs, content: bytes) -> str:
    pieces = [content[start : start + 2**20] for start in range(0, len(content), 2**20)]
    return (await blobs.Write(parts(*pieces, digest=digest_of(content)))).digest


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
    then = time.time() - 3600 * hours
    os.utime(root / "blobs" / digest.replace(":", "-"), (then, then))


def distant_future() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)
