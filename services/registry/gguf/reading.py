"""Headers of GGUF files in the store, read as far as they reach and no further."""

import asyncio
from collections.abc import Callable

from common.errors import InvalidModel
from services.registry.blob_client import BlobClient
from services.registry.gguf.cursor import MAX_HEADER_SIZE, Incomplete
from services.registry.gguf.header import Header, parse_header, parse_start
from services.registry.gguf.values import Value

_FIRST_READ = 1024 * 1024
_GROWTH = 4
_START = 64 * 1024


async def read_header(
    blobs: BlobClient, digest: str, keeps: Callable[[str], bool] = lambda _: False
) -> Header:
    """Read the header of a blob.

    Nobody knows its length beforehand: it is read in growing pieces, and parsed anew with
    each, until it is whole.

    Args:
        blobs: where it is read.
        digest: of the file.
        keeps: whether the values of an array are wanted, given its key.

    Raises:
        BlobNotFound: it is not stored.
        InvalidModel: it is no GGUF file that can be used.
    """
    size = await blobs.size(digest)
    data = await blobs.read(digest, length=_FIRST_READ)
    while True:
        try:
            return await asyncio.to_thread(parse_header, data, size, keeps)
        except Incomplete as incomplete:
            wanted = max(incomplete.needed, min(len(data) * _GROWTH, size, MAX_HEADER_SIZE))
        piece = await blobs.read(digest, len(data), wanted - len(data))
        if not piece:
            raise InvalidModel("truncated: the file ends within its header")
        data += piece


async def read_start(blobs: BlobClient, digest: str) -> dict[str, Value]:
    """Read the first of a blob's metadata: all that is there before the vocabulary.

    Raises:
        BlobNotFound: it is not stored.
        InvalidModel: it is no GGUF file that can be used.
    """
    size = await blobs.size(digest)
    return parse_start(await blobs.read(digest, length=_START), size)
