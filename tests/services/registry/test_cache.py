import asyncio

import pytest

from services.registry.cache import Cache, Loaded


class Source:
    """Counts how often each value is loaded.

    The value is the key, doubled; each letter of a key counts for 1000 bytes.
    """

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, key: str) -> Loaded[str]:
        self.loads.append(key)
        await self.gate.wait()
        if self.fails:
            raise ValueError(key)
        return Loaded(key * 2, 1000 * len(key))


async def test_each_value_is_loaded_once() -> None:
    source = Source()
    cache = Cache(source.load, 10_000)
    found = await asyncio.gather(*(cache.get(key) for key in "aab"))
    assert found == ["aa", "aa", "bb"]
    assert await cache.get("a") == "aa"
    assert source.loads == ["a", "b"]


async def test_the_least_recently_used_goes_first() -> None:
    source = Source()
    cache = Cache(source.load, 10_000)
    for key in ("a", "b", "c", "d", "a", "e", "a", "b"):
        await cache.get(key)
    assert source.loads == ["a", "b", "c", "d", "e", "b"]


async def test_a_large_value_displaces_several_small_ones() -> None:
    source = Source()
    cache = Cache(source.load, 17_000)
    for key in ("a", "b", "ccc", "ddd", "eee", "fff", "b", "fff"):
        await cache.get(key)
    assert source.loads == ["a", "b", "ccc", "ddd", "eee", "fff", "b"]


async def test_what_takes_more_than_its_share_is_not_kept() -> None:
    source = Source()
    cache = Cache(source.load, 10_000)
    for key in ("a", "bbb", "bbb", "a"):
        assert await cache.get(key) == key * 2
    assert source.loads == ["a", "bbb", "bbb"]


async def test_many_empty_values_are_not_all_kept() -> None:
    async def load(key: int) -> Loaded[int]:
        loads.append(key)
        return Loaded(key, 0)

    loads: list[int] = []
    cache = Cache(load, 10 * 1024)
    for key in (*range(11), 0):
        await cache.get(key)
    assert loads == [*range(11), 0]


async def test_failures_are_not_remembered() -> None:
    source = Source()
    cache = Cache(source.load, 10_000)
    source.fails = True
    with pytest.raises(ValueError, match="a"):
        await cache.get("a")
    source.fails = False
    assert await cache.get("a") == "aa"


async def test_a_caller_that_goes_away_spoils_nothing_for_another() -> None:
    source = Source()
    cache = Cache(source.load, 10_000)
    source.gate.clear()
    first = asyncio.create_task(cache.get("a"))
    second = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    first.cancel()
    source.gate.set()
    assert await second == "aa"
    assert source.loads == ["a"]


async def test_what_was_loaded_otherwise_is_not_loaded_again() -> None:
    source = Source()
    cache = Cache(source.load, 10_000)
    cache.keep("a", Loaded("given", 1000))
    assert await cache.get("a") == "given"
    for key in ("b", "c", "d", "e"):
        cache.keep(key, Loaded(key, 1000))
    assert cache.kept("a") is None
    assert source.loads == []
