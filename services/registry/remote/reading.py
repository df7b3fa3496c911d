"""The bytes of a blob at another registry, in order, whatever happens on the way."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import Any, TypeAlias

from common.errors import RegistryFailed
from services.registry.remote.blob_source import BlobSource
from services.registry.remote.errors import Transient
from services.registry.remote.pace import Pace, Speeds, StallPolicy, watched
from services.registry.remote.retries import RetryPolicy, pause, with_retries
from services.registry.remote.window import RANGE_SIZE, Window

Received: TypeAlias = Callable[[int], None]
"""Is told how many bytes have come in."""

# Connections at the start. On a slow line more of them would only share it: of what is on its
# way when a pull breaks off, nothing but the first range is kept.
_FIRST_RANGES = 2
_FAST_SECONDS = 2.0
_SLOW_SECONDS = 10.0
# Times that a range is asked for again only because others came much faster.
_MOST_COMPARISONS = 2


class _Range:
    """Bytes from `start` up to but not including `end`, on their way."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.received = 0
        self.attempts = 0
        self._held: list[bytes] = []
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def missing(self) -> int:
        """Bytes that have not come yet."""
        return self.end - self.start - self.received

    def fetch(self, work: Coroutine[Any, Any, None]) -> None:
        """Let the bytes come in while others are taken."""
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(lambda _: self._news.set())

    def add(self, piece: bytes) -> None:
        """Take bytes in."""
        self.received += len(piece)
        self._held.append(piece)
        self._news.set()

    async def take(self) -> AsyncGenerator[bytes, None]:
        """Give the bytes as they come.

        Raises:
            RegistryFailed: they could not be had.
        """
        assert self._task
        ended = False
        while not ended:
            await self._news.wait()
            self._news.clear()
            ended = self._task.done()
            held, self._held = self._held, []
            for piece in held:
                yield piece
        await self._task

    async def cancel(self) -> None:
        """Forget what has not been taken."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class RangeReader:
    """Reads ranges of one blob in parallel, each tried again by itself.

    The first is given as it comes; the others wait in memory until it is through. There are
    more of them at once as long as they come fast.
    """

    def __init__(
        self,
        source: BlobSource,
        window: Window,
        policy: RetryPolicy,
        stalls: StallPolicy,
        speeds: Speeds,
        received: Received,
    ) -> None:
        self._source = source
        self._window = window
        self._policy = policy
        self._stalls = stalls
        self._speeds = speeds
        self._received = received
        self._at_once = min(_FIRST_RANGES, window.share)

    async def read(self, start: int, size: int) -> AsyncGenerator[bytes, None]:
        """Give the bytes from `start` to the end.

        Raises:
            RegistryFailed: a range could not be had in all tries, or is not what was asked.
        """
        running: deque[_Range] = deque()
        position = start
        try:
            while position < size or running:
                position = await self._begin(running, position, size)
                async with aclosing(running[0].take()) as pieces:
                    async for piece in pieces:
                        yield piece
                running.popleft()
                self._window.give_back()
        finally:
            await asyncio.gather(*(each.cancel() for each in running))
            for _ in running:
                self._window.give_back()

    async def _begin(self, running: deque[_Range], position: int, size: int) -> int:
        """Start as many ranges as there is room for; give where the next one begins.

        The first one waits for room. Its successors do not: they must not keep another
        download waiting that has none at all.
        """
        while position < size and len(running) < self._at_once:
            if not running:
                await self._window.take()
            elif not await self._window.take_free():
                break
            begun = _Range(position, min(position + RANGE_SIZE, size))
            begun.fetch(self._fetch(begun))
            running.append(begun)
            position = begun.end
        return position

    async def _fetch(self, wanted: _Range) -> None:
        async def attempt() -> None:
            await self._fetch_rest(wanted)

        started = time.monotonic()
        await with_retries(attempt, self._policy)
        elapsed = time.monotonic() - started
        self._speeds.add(wanted.received, elapsed)
        if elapsed < _FAST_SECONDS:
            self._at_once = min(self._at_once + 1, self._window.share)
        elif elapsed > _SLOW_SECONDS:
            self._at_once = max(self._at_once - 1, 1)

    async def _fetch_rest(self, wanted: _Range) -> None:
        """Take in what is missing; what came before a failure stays."""
        place = wanted.start + wanted.received
        wanted.attempts += 1
        expected = self._speeds.expected if wanted.attempts <= _MOST_COMPARISONS else 0.0
        pace = Pace(self._stalls, expected)
        async with self._source.open_range(place, wanted.end) as response:
            async for piece in watched(response.content.iter_any(), pace):
                kept = piece[: wanted.missing]
                wanted.add(kept)
                self._received(len(kept))
        if wanted.missing:
            raise Transient("the connection ended early")


class WholeReader:
    """Reads a blob in one stream, for small ones and for registries without ranges.

    When the stream breaks off, it begins again, and what had come already is passed over.
    """

    def __init__(
        self, source: BlobSource, policy: RetryPolicy, stalls: StallPolicy, received: Received
    ) -> None:
        self._source = source
        self._policy = policy
        self._stalls = stalls
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
            pieces = watched(response.content.iter_any(), Pace(self._stalls))
            async for piece in _after(start, pieces):
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
