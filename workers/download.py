"""Bringing one blob over the wire, its digest checked on the way."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from common.digests import hex_digits, parse_digest
from common.errors import DigestMismatch
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc, model_pb2


async def download(
    blobs: blob_pb2_grpc.BlobServiceStub,
    file: model_pb2.ModelFile,
    target: Path,
    progress: Callable[[int], None],
) -> None:
    """Write a blob's bytes to `target`; `progress` is told of each piece's size.

    Raises:
        DigestMismatch: the bytes are not the file's.
        BlobNotFound: the store lacks it.
    """
    expected = parse_digest(file.digest)
    hasher = hashlib.sha256()
    handle = await asyncio.to_thread(target.open, "xb")
    try:
        with rpc_errors():
            async for piece in blobs.Read(blob_pb2.ReadRequest(digest=expected)):
                # Both release the GIL for pieces of this size.
                await asyncio.gather(
                    asyncio.to_thread(handle.write, piece.data),
                    asyncio.to_thread(hasher.update, piece.data),
                )
                progress(len(piece.data))
    finally:
        await asyncio.to_thread(handle.close)
    if hasher.hexdigest() != hex_digits(expected):
        raise DigestMismatch(
            f'digest mismatch, expected "{expected}", got "sha256:{hasher.hexdigest()}"'
        )
