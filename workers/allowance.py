"""An amount of something, memory for instance, that tasks share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Allowance:
    """Gives parts of an amount to tasks, in the order in which they ask.

    What is given never exceeds the amount, but for a single part that is larger by itself.
    """

    def __init__(self, amount: int) -> None:
        self._amount = amount
        self._given = 0
        self._turn = asyncio.Lock()
        self._returned = asyncio.Event()

    @asynccontextmanager
    async def take(self, part: int) -> AsyncIterator[None]:
        """Wait until a part can be had; it is given back at the end of the block."""
        async with self._turn:
            while self._given and self._given + part > self._amount:
                self._returned.clear()
                await self._returned.wait()
            self._given += part
        try:
            yield
        finally:
            self._given -= part
            self._returned.set()
