"""Reads many small blobs at once, for a disk or a bucket that answers several at a time."""

import asyncio
from collections.abc import Sequence

from common.errors import BlobNotFound
from protos.paddock.v1.blob_pb2 import ReadManyResponse, WholeBlob
from store.interface import Store

MOST = 1000
"""Blobs that are read at once."""

LARGEST = 64 * 1024
"""Bytes of a blob that is small."""

_THREADS = 16


async def read_many(store: Store, digests: Sequence[str], largest: int) -> list[ReadManyResponse]:
    """Give those of some blobs that are stored and have at most so many bytes."""
    groups = [digests[first::_THREADS] for first in range(min(_THREADS, len(digests)))]
    reading = (asyncio.to_thread(_read, store, group, largest) for group in groups)
    return [ReadManyResponse(blobs=blobs) for blobs in await asyncio.gather(*reading)]


def _read(store: Store, digests: Sequence[str], largest: int) -> list[WholeBlob]:
    read = []
    for digest in digests:
        try:
            content = b"".join(store.read(digest, 0, largest + 1))
        except BlobNotFound:
            continue
        if len(content) <= largest:
            read.append(WholeBlob(digest=digest, content=content))
    return read
