"""Reading parts of a stored file: from the disk where it lies here, else over the wire."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from common.errors import InvalidModel
from services.registry.blob_client import BlobClient

_PIECE = 1024 * 1024


class Source:
    """A blob of which any range can be read."""

    def __init__(
        self, blobs: BlobClient, digest: str, size: int, descriptor: int | None = None
    ) -> None:
        self.size = size
        self._blobs = blobs
        self._digest = digest
        self._descriptor = descriptor

    async def read(self, offset: int, length: int) -> bytes:
        """Read a range.

        Raises:
            InvalidModel: the file ends before it does.
        """
        if self._descriptor is None:
            data = await self._blobs.read(self._digest, offset, length)
        else:
            data = await asyncio.to_thread(os.pread, self._descriptor, length, offset)
        if len(data) != length:
            raise InvalidModel(f"truncated: the file ends after {offset + len(data)} bytes")
        return data

    async def pieces(self, offset: int, length: int) -> AsyncIterator[bytes]:
        """Read a range of any length, a piece at a time."""
        for start in range(offset, offset + length, _PIECE):
            yield await self.read(start, min(_PIECE, offset + length - start))


@asynccontextmanager
async def open_source(blobs: BlobClient, digest: str) -> AsyncIterator[Source]:
    """Open a blob.

    Raises:
        BlobNotFound: it is not stored.
    """
    location = await blobs.locate(digest)
    descriptor = None
    with suppress(OSError):  # the store is on another machine
        if location.path:
            descriptor = os.open(location.path, os.O_RDONLY)
    try:
        yield Source(blobs, digest, location.size, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)
