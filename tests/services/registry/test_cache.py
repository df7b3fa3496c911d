import asyncio

import pytest

from services.registry.cache import Cache


class Source:
    """Counts how often each value is loaded; the value is the key, doubled."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, key: str) -> str:
        self.loads.append(key)
        await self.gate.wait()
        if self.fails:
            raise ValueError(key)
        return key * 2


async def test_each_value_is_loaded_once() -> None:
    source = Source()
    cache = Cache(source.load, 2)
    found = await asyncio.gather(*(cache.get(key) for key in "aab"))
    assert found == ["aa", "aa", "bb"]
    assert await cache.get("a") == "aa"
    assert source.loads == ["a", "b"]


async def test_the_least_recently_used_goes_first() -> None:
    source = Source()
    cache = Cache(source.load, 2)
    for key in ("a", "b", "a", "c", "a", "b"):
        await cache.get(key)
    assert source.loads == ["a", "b", "c", "b"]


async def test_failures_are_not_remembered() -> None:
    source = Source()
    cache = Cache(source.load, 2)
    source.fails = True
    with pytest.raises(ValueError, match="a"):
        await cache.get("a")
    source.fails = False
    assert await cache.get("a") == "aa"


async def test_a_caller_that_goes_away_spoils_nothing_for_another() -> None:
    source = Source()
    cache = Cache(source.load, 2)
    source.gate.clear()
    first = asyncio.create_task(cache.get("a"))
    second = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    first.cancel()
    source.gate.set()
    assert await second == "aa"
    assert source.loads == ["a"]
