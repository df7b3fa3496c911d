"""How a blob is reached: by a URL that expires, or through the Blob service."""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from common.errors import StoreFailed
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc

logger = logging.getLogger(__name__)

# Before its end a URL is replaced: a request takes a moment to arrive, and clocks differ.
_MARGIN = timedelta(seconds=5)
# For how long all blobs are read through the service once a URL has failed for good.
_DETOUR_SECONDS = 60.0


class Detour:
    """Remembers for all blobs that the store's URLs do not answer here."""

    def __init__(self) -> None:
        self._until = 0.0

    @property
    def taken(self) -> bool:
        """Whether blobs are read through the service for now."""
        return time.monotonic() < self._until

    def take(self, url: str, reason: str) -> None:
        """Read through the service for a while."""
        if not self.taken:
            host = urlsplit(url).netloc
            logger.warning("cannot read from %s (%s): reading by the blob service", host, reason)
        self._until = time.monotonic() + _DETOUR_SECONDS


class Source:
    """Gives the URL of one blob, a new one when the last has expired or was refused."""

    def __init__(
        self,
        blobs: blob_pb2_grpc.BlobServiceStub,
        digest: str,
        located: blob_pb2.LocateResponse,
        detour: Detour,
    ) -> None:
        self.digest = digest
        self._blobs = blobs
        self._located = located
        self._detour = detour
        self._refused = False
        self._renewal = asyncio.Lock()

    async def url(self) -> str | None:
        """Give a URL that should answer; None where the service has to be asked.

        Raises:
            BlobNotFound: the blob has left the store.
            Unavailable, StoreFailed: the service cannot tell.
        """
        async with self._renewal:
            if not self._located.url or self._detour.taken:
                return None
            if self._refused or self._expires_soon():
                self._located = await locate(self._blobs, self.digest)
                self._refused = False
            return self._located.url or None

    def refuse(self, url: str | None) -> None:
        """Take note that a URL was answered with something else than the blob."""
        self._refused = self._refused or url == self._located.url

    def give_up(self, url: str | None, reason: str) -> None:
        """Take another way from now on.

        Raises:
            StoreFailed: there is none.
        """
        if url is None:
            raise StoreFailed(f"cannot read a model's file from the store: {reason}")
        self._detour.take(url, reason)

    def _expires_soon(self) -> bool:
        if not self._located.HasField("expires_at"):
            return False
        return self._located.expires_at.ToDatetime(UTC) < datetime.now(UTC) + _MARGIN


async def locate(blobs: blob_pb2_grpc.BlobServiceStub, digest: str) -> blob_pb2.LocateResponse:
    """Ask the service where a blob is.

    Raises:
        BlobNotFound: it is not stored.
        Unavailable, StoreFailed: the service cannot tell.
    """
    with rpc_errors():
        return await blobs.Locate(blob_pb2.LocateRequest(digest=digest))
