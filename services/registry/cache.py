"""What was made of blobs, kept by digest: blobs never change, so neither does this."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Loads each value once, also for callers that ask at the same time.

    At most `capacity` values are kept; the least recently used goes first. A failed
    load is not remembered.
    """

    def __init__(self, load: Callable[[K], Coroutine[Any, Any, V]], capacity: int) -> None:
        self._load = load
        self._capacity = capacity
        self._tasks: OrderedDict[K, asyncio.Task[V]] = OrderedDict()

    async def get(self, key: K) -> V:
        """Give the value of a key; callers share it and must not change it."""
        task = self._tasks.get(key)
        if task is None or _failed(task):
            task = asyncio.create_task(self._load(key))
            self._tasks[key] = task
        self._tasks.move_to_end(key)
        while len(self._tasks) > self._capacity:
            self._tasks.popitem(last=False)
        # The load outlives a caller that goes away: another may be waiting for it.
        return await asyncio.shield(task)


def _failed(task: asyncio.Task[V]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
