"""The bytes of a blob at another registry, in order, whatever happens on the way."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import TypeAlias

from common.errors import RegistryFailed
from services.registry.remote.blob_source import BlobSource
from services.registry.remote.errors import Transient
from services.registry.remote.retries import RetryPolicy, pause, with_retries
from services.registry.remote.window import RANGE_SIZE, Window

Received: TypeAlias = Callable[[int], None]
"""Is told how many bytes have come in."""

_Tasks: TypeAlias = "deque[asyncio.Task[bytearray]]"


class RangeReader:
    """Reads ranges of one blob in parallel, each tried again by itself.

    Ranges wait in memory until all before them have been taken.
    """

    def __init__(
        self, source: BlobSource, window: Window, policy: RetryPolicy, received: Received
    ) -> None:
        self._source = source
        self._window = window
        self._policy = policy
        self._received = received

    async def read(self, start: int, size: int) -> AsyncGenerator[bytearray, None]:
        """Give the bytes from `start` to the end.

        Raises:
            RegistryFailed: a range could not be had in all tries, or is not what was asked.
        """
        running: _Tasks = deque()
        position = start
        try:
            while position < size or running:
                position = await self._begin(running, position, size)
                yield await running[0]
                running.popleft()
                self._window.give_back()
        finally:
            await self._abandon(running)

    async def _begin(self, running: _Tasks, position: int, size: int) -> int:
        """Start as many ranges as there is room for; give where the next one begins.

        The first one waits for room. Its successors do not: they must not keep another
        download waiting that has none at all.
        """
        while position < size and len(running) < self._window.share:
            if not running:
                await self._window.take()
            elif not await self._window.take_free():
                break
            end = min(position + RANGE_SIZE, size)
            running.append(asyncio.create_task(self._fetch(position, end)))
            position = end
        return position

    async def _abandon(self, running: _Tasks) -> None:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for _ in running:
            self._window.give_back()

    async def _fetch(self, start: int, end: int) -> bytearray:
        content = bytearray()

        async def attempt() -> None:
            await self._fetch_rest(content, start, end)

        await with_retries(attempt, self._policy)
        return content

    async def _fetch_rest(self, content: bytearray, start: int, end: int) -> None:
        """Append what is missing; what came before a failure stays."""
        async with self._source.open_range(start + len(content), end) as response:
            async for piece in response.content.iter_any():
                wanted = piece[: end - start - len(content)]
                content += wanted
                self._received(len(wanted))
        if start + len(content) < end:
            raise Transient("the connection ended early")


class WholeReader:
    """Reads a blob in one stream, for small ones and for registries without ranges.

    When the stream breaks off, it begins again, and what had come already is passed over.
    """

    def __init__(self, source: BlobSource, policy: RetryPolicy, received: Received) -> None:
        self._source = source
        self._policy = policy
        self._received = received

    async def read(self, start: int, size: int) -> AsyncGenerator[bytes, None]:
        """Give the bytes from `start` to the end.

        Raises:
            RegistryFailed: they could not be had in all tries, or are too many.
        """
        position, progress = start, 0
        pauses: Iterator[float] = self._policy.pauses()
        while position < size:
            try:
                async with aclosing(self._attempt(position, size)) as pieces:
                    async for piece in pieces:
                        position += len(piece)
                        progress += len(piece)
                        yield piece
            except Transient as error:
                if progress >= RANGE_SIZE:
                    pauses, progress = self._policy.pauses(), 0
                await pause(pauses, error)

    async def _attempt(self, start: int, size: int) -> AsyncGenerator[bytes, None]:
        position = start
        async with self._source.open() as response:
            async for piece in _after(start, response.content.iter_any()):
                position += len(piece)
                if position > size:
                    raise RegistryFailed(f"the registry sent more than {size} bytes")
                self._received(len(piece))
                yield piece
        if position < size:
            raise Transient("the connection ended early")


async def _after(count: int, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Pass over that many bytes."""
    async for piece in pieces:
        if rest := piece[count:]:
            yield rest
        count = max(0, count - len(piece))
