"""What was made of blobs, kept by digest: blobs never change, so neither does this."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_LARGEST_SHARE = 4
_ENTRY_SIZE = 1024


class Loaded(NamedTuple, Generic[V]):
    """A value and the bytes that it counts for."""

    value: V
    size: int


class Cache(Generic[K, V]):
    """Loads each value once, also for callers that ask at the same time.

    At most `capacity` bytes are kept, of which every entry takes a kibibyte more than its
    own size; the least recently used goes first. A value that would take more than a
    quarter is not kept, and a failed load is not remembered.
    """

    def __init__(self, load: Callable[[K], Coroutine[Any, Any, Loaded[V]]], capacity: int) -> None:
        self._load = load
        self._capacity = capacity
        self._loads: dict[K, asyncio.Task[V]] = {}
        self._kept: OrderedDict[K, Loaded[V]] = OrderedDict()
        self._size = 0

    async def get(self, key: K) -> V:
        """Give the value of a key; callers share it and must not change it."""
        if kept := self.kept(key):
            return kept.value
        if key not in self._loads:
            load = self._loads[key] = asyncio.create_task(self._load_and_keep(key))
            load.add_done_callback(_take_note)
        # The load outlives a caller that goes away: another may be waiting for it.
        return await asyncio.shield(self._loads[key])

    def kept(self, key: K) -> Loaded[V] | None:
        """Give what is kept for a key."""
        if loaded := self._kept.get(key):
            self._kept.move_to_end(key)
        return loaded

    async def _load_and_keep(self, key: K) -> V:
        try:
            value, size = await self._load(key)
        finally:
            del self._loads[key]
        self.keep(key, Loaded(value, size))
        return value

    def keep(self, key: K, loaded: Loaded[V]) -> None:
        """Keep what was loaded otherwise."""
        size = loaded.size + _ENTRY_SIZE
        if key in self._kept or size > self._capacity // _LARGEST_SHARE:
            return
        self._kept[key] = Loaded(loaded.value, size)
        self._size += size
        while self._size > self._capacity:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size


def _take_note(load: asyncio.Task[Any]) -> None:
    """Look at how a load ended, for all who waited may have gone."""
    if not load.cancelled():
        load.exception()
