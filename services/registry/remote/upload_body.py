"""A part of a blob as the body of a request, which may have to be sent again."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from services.registry.blob_client import BlobClient
from services.registry.remote.progress import Progress
from services.registry.remote.upload_parts import Part

# Bytes between two signs of life: of a whole piece a slow line would give none for too long.
_SLICE = 64 * 1024


class UploadBody:
    """Reads the bytes of a part; of those of all tries, the last one's count as progress."""

    def __init__(self, blobs: BlobClient, digest: str, part: Part, progress: Progress) -> None:
        self.part = part
        self.headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(part.size),
        }
        self.digest = digest
        self._blobs = blobs
        self._progress = progress
        self._counted = 0

    async def read(
        self, moved: Callable[[], None], md5: "hashlib._Hash | None" = None
    ) -> AsyncGenerator[memoryview, None]:
        """Give the bytes from the beginning, and add them to a sum."""
        self._count(0)
        pieces = self._blobs.pieces(self.digest, self.part.start, self.part.size)
        async with aclosing(pieces):
            async for piece in pieces:
                if md5:
                    await asyncio.to_thread(md5.update, piece)
                for start in range(0, len(piece), _SLICE):
                    sent = memoryview(piece)[start : start + _SLICE]
                    yield sent
                    self._count(self._counted + len(sent))
                    moved()

    def arrived(self) -> None:
        """Count the part as a whole."""
        self._count(self.part.size)

    def _count(self, size: int) -> None:
        self._progress.add(size - self._counted)
        self._counted = size
