"""The calls that run, so that they can be ended when this process leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.errors import Interrupted

_LEAVES = "the router is shutting down"


class Calls:
    """Ends calls in a way that tells their callers to go on with another process."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        """Set once no more calls are taken."""
        self._limits: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve a call within the block.

        Raises:
            Interrupted: this process leaves.
        """
        if self.left.is_set():
            raise Interrupted(_LEAVES)
        try:
            async with asyncio.timeout(None) as limit:
                self._limits.add(limit)
                try:
                    yield
                finally:
                    self._limits.discard(limit)
        except TimeoutError as error:
            if limit.expired():
                raise Interrupted(_LEAVES) from error
            raise

    def leave(self) -> None:
        """Take no more."""
        self.left.set()

    def interrupt(self) -> None:
        """End those that run."""
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            limit.reschedule(now)
