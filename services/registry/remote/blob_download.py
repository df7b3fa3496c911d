"""One blob on its way from another registry into the store."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from common.blob_messages import encode_all
from common.errors import DigestMismatch, RegistryFailed, Unavailable, UploadMoved
from services.registry.blob_client import BlobClient, BlobUpload
from services.registry.remote.blob_source import BlobSource
from services.registry.remote.client import RemoteClient
from services.registry.remote.pace import Speeds
from services.registry.remote.progress import Progress
from services.registry.remote.reading import RangeReader, WholeReader
from services.registry.remote.retries import with_retries
from services.registry.remote.session import RemoteSession
from services.registry.remote.window import RANGE_SIZE

logger = logging.getLogger(__name__)

_PART = 1024 * 1024
_POLL_SECONDS = 0.2
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class BlobDownload:
    """Brings one blob into the store, going on from what an earlier download left there.

    What came in stays when this is cancelled or dies. While another process is writing
    the same blob, this one looks on, and takes over once that one stands still.
    """

    def __init__(self, blobs: BlobClient, session: RemoteSession, remote: RemoteClient) -> None:
        self._blobs = blobs
        self._session = session
        self._window = remote.window
        self._policy = remote.settings.retries
        self._stalls = remote.settings.stalls
        self._speeds = Speeds()

    async def run(self, digest: str, size: int, progress: Progress) -> None:
        """Bring the blob.

        Raises:
            RegistryFailed: it could not be had, or has another digest.
            StoreFull, StoreFailed, Unavailable: it could not be stored.
        """
        pauses = self._policy.pauses()
        farthest = 0
        restarted = False
        while True:
            try:
                offset = await self._beginning(digest, size, progress)
                if offset > farthest:
                    farthest, pauses = offset, self._policy.pauses()
                await self._copy(digest, size, offset, progress)
                progress.completed = size
                return
            except DigestMismatch as error:
                if offset == 0 or restarted:
                    raise _mismatch(digest, error) from error
                restarted = True
                logger.warning("%s is damaged; it is fetched once more from the beginning", digest)
            except (UploadMoved, Unavailable):
                seconds = next(pauses, None)
                if seconds is None:
                    raise
                await asyncio.sleep(seconds)

    async def _beginning(self, digest: str, size: int, progress: Progress) -> int:
        """Find out how much is stored already; wait while somebody else is storing more."""
        if not _is_kept(size):
            return 0
        seen, since = -1, time.monotonic()
        while True:
            status = await self._blobs.write_status(digest, size)
            if status.complete:
                return size
            if not status.busy:
                return status.committed_size
            if status.committed_size > seen:
                seen, since = status.committed_size, time.monotonic()
                progress.completed = seen
            elif time.monotonic() - since > self._stalls.window:
                # Beside the upload that stands still, one that begins anew is possible.
                return 0
            await asyncio.sleep(_POLL_SECONDS)

    async def _copy(self, digest: str, size: int, offset: int, progress: Progress) -> None:
        progress.completed = offset
        source = BlobSource(self._session, digest, size)
        reader = await self._reader(source, offset, size, progress)
        keep = _is_kept(size)
        async with (
            self._blobs.begin_write(size, digest, keep=keep, offset=offset) as upload,
            aclosing(reader.read(offset, size)) as pieces,
        ):
            await _send_all(pieces, upload)
            await upload.finish()

    async def _reader(
        self, source: BlobSource, offset: int, size: int, progress: Progress
    ) -> RangeReader | WholeReader:
        async def takes_ranges() -> bool:
            return await source.takes_ranges(offset)

        divisible = _is_kept(size) and offset < size
        if divisible and await with_retries(takes_ranges, self._policy):
            return RangeReader(
                source, self._window, self._policy, self._stalls, self._speeds, progress.add
            )
        return WholeReader(source, self._policy, self._stalls, progress.add)


def _is_kept(size: int) -> bool:
    """Tell whether a blob is large enough for it to matter what came of it already."""
    return size > RANGE_SIZE


def _mismatch(digest: str, error: DigestMismatch) -> RegistryFailed:
    found = [each for each in _DIGEST.findall(error.message) if each != digest]
    got = found[-1] if found else "another one"
    return RegistryFailed(
        f"digest mismatch, file must be downloaded again: want {digest}, got {got}"
    )


async def _send_all(pieces: AsyncGenerator[bytes, None], upload: BlobUpload) -> None:
    async with aclosing(encode_all(pieces, _PART)) as parts:
        async for part in parts:
            await upload.send(part)
            if upload.answered:
                return
