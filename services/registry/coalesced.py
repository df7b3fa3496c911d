"""One call for all who wait for it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

V = TypeVar("V")


class Coalesced(Generic[V]):
    """Makes a call once at a time, however many ask for it.

    Who asks while a call runs shares the next one with all others who do: its result is
    never older than the question.
    """

    def __init__(self, call: Callable[[], Coroutine[Any, Any, V]]) -> None:
        self._call = call
        self._running = asyncio.Lock()
        self._next: asyncio.Task[V] | None = None

    async def get(self) -> V:
        """Give the result of a call that starts from now on; callers share it."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
        # The call outlives a caller that goes away: another may be waiting for it.
        return await asyncio.shield(self._next)

    async def _run(self) -> V:
        async with self._running:
            self._next = None
            return await self._call()
