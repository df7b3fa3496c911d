"""Downloads that several pulls share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from services.registry.remote.blob_download import Progress


class BlobKey(NamedTuple):
    """What makes two downloads the same: the place, as well as what it says lies there."""

    base_urls: tuple[str, ...]
    repository: str
    insecure: bool
    digest: str
    size: int


class SharedDownload:
    """A download that runs for as long as anybody waits for it."""

    def __init__(self, run: Callable[[Progress], Awaitable[None]]) -> None:
        self.progress = Progress()
        self.waiting = 0
        self._task = asyncio.ensure_future(run(self.progress))

    async def finished(self) -> None:
        """Wait for the end; who is cancelled here does not cancel the download."""
        await asyncio.shield(self._task)

    async def cancel(self) -> None:
        """End it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Downloads:
    """The downloads that run in this process."""

    def __init__(self) -> None:
        self._running: dict[BlobKey, SharedDownload] = {}

    @asynccontextmanager
    async def join(
        self, key: BlobKey, run: Callable[[Progress], Awaitable[None]]
    ) -> AsyncIterator[SharedDownload]:
        """Wait for a download with all others who do; `run` begins it if there is none.

        The last one who leaves ends it.
        """
        download = self._running.get(key)
        if download is None:
            download = self._running[key] = SharedDownload(run)
        download.waiting += 1
        try:
            yield download
        finally:
            download.waiting -= 1
            if not download.waiting:
                del self._running[key]
                await download.cancel()
