"""Blobs on their way in or out that several pulls or pushes share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from services.registry.remote.progress import Progress


class BlobKey(NamedTuple):
    """What makes two transfers the same: the place, as well as what it says lies there."""

    base_urls: tuple[str, ...]
    repository: str
    insecure: bool
    digest: str
    size: int


class SharedTransfer:
    """A transfer that runs for as long as anybody waits for it."""

    def __init__(self, run: Callable[[Progress], Awaitable[None]]) -> None:
        self.progress = Progress()
        self.waiting = 0
        self._task = asyncio.ensure_future(run(self.progress))

    async def finished(self) -> None:
        """Wait for the end; who is cancelled here does not cancel the transfer."""
        await asyncio.shield(self._task)

    async def cancel(self) -> None:
        """End it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class SharedTransfers:
    """The transfers of one kind that run in this process."""

    def __init__(self) -> None:
        self._running: dict[BlobKey, SharedTransfer] = {}

    @asynccontextmanager
    async def join(
        self, key: BlobKey, run: Callable[[Progress], Awaitable[None]]
    ) -> AsyncIterator[SharedTransfer]:
        """Wait for a transfer with all others who do; `run` begins it if there is none.

        The last one who leaves ends it.
        """
        transfer = self._running.get(key)
        if transfer is None:
            transfer = self._running[key] = SharedTransfer(run)
        transfer.waiting += 1
        try:
            yield transfer
        finally:
            transfer.waiting -= 1
            if not transfer.waiting:
                del self._running[key]
                await transfer.cancel()
