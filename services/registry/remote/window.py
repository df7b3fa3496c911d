"""How much of all blobs on their way may be held in memory."""

import asyncio

RANGE_SIZE = 8 * 1024 * 1024
"""Bytes that are asked for at once."""


class Window:
    """Places for ranges, of `RANGE_SIZE` bytes each, shared by all downloads of a process.

    One download takes at most three quarters of them, so that none that is stuck keeps all
    others from going on.
    """

    def __init__(self, places: int) -> None:
        self._free = asyncio.Semaphore(places)
        self.share = max(1, places * 3 // 4)
        """Places that one download may take."""

    async def take(self) -> None:
        """Wait for a place."""
        await self._free.acquire()

    async def take_free(self) -> bool:
        """Take a place if there is one that nobody waits for."""
        if self._free.locked():
            return False
        await self._free.acquire()
        return True

    def give_back(self) -> None:
        """Leave a place to others."""
        self._free.release()
