"""Models that take turns on an accelerator: those that give way sleep."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from common.errors import NoRoom
from tests.workers.fakes import FakeEngine, FakeFactory, NoFiles
from tests.workers.harness import MINUTE, model
from workers.engine import Rest
from workers.models import Models


@asynccontextmanager
async def models_that_sleep(
    factory: FakeFactory, *, budget: int = 100, sleep_memory: int = 80, keep_alive: int = MINUTE
) -> AsyncIterator[Models]:
    models = Models(factory, NoFiles(), budget, keep_alive, sleep_memory=sleep_memory)
    expiry = asyncio.create_task(models.expire_for_ever())
    try:
        yield models
    finally:
        expiry.cancel()
        await models.aclose()
        assert all(engine.closed for engine in factory.engines)


async def use(models: Models, name: str) -> FakeEngine:
    async with models.use(model(name), None) as ready:
        assert isinstance(ready.engine, FakeEngine)
        assert not ready.engine.asleep
        return ready.engine


async def test_models_that_take_turns_are_started_once() -> None:
    factory = FakeFactory(memory=100, asleep=Rest(40))
    async with models_that_sleep(factory) as models:
        first, second = await use(models, "a"), await use(models, "b")
        assert first.asleep
        assert not first.closed
        assert models.memory == 100
        assert await use(models, "a") is first
        assert second.asleep
        assert await use(models, "b") is second
        assert (factory.started, first.woken, second.woken) == (["a", "b"], 1, 1)


@pytest.mark.parametrize("sleep_memory", [0, 39])
async def test_without_memory_for_it_a_model_ends(sleep_memory: int) -> None:
    factory = FakeFactory(memory=100, asleep=Rest(40))
    async with models_that_sleep(factory, sleep_memory=sleep_memory) as models:
        first = await use(models, "a")
        await use(models, "b")
        assert first.closed
        await use(models, "a")
        assert factory.started == ["a", "b", "a"]


async def test_a_model_that_cannot_sleep_ends() -> None:
    factory = FakeFactory(memory=100)
    async with models_that_sleep(factory) as models:
        first = await use(models, "a")
        await use(models, "b")
        assert first.closed


async def test_the_one_that_slept_longest_ends_for_another() -> None:
    factory = FakeFactory(memory=100, asleep=Rest(40))
    async with models_that_sleep(factory, sleep_memory=80) as models:
        engines = [await use(models, name) for name in "abcd"]
        assert [engine.closed for engine in engines] == [True, False, False, False]
        assert len(models.engines.sleepers) == 2
        assert models.engines.sleepers.host_memory == 80


async def test_two_that_give_way_at_once_stay_within_the_bound() -> None:
    factory = FakeFactory(memory=50, asleep=Rest(40))
    async with models_that_sleep(factory, sleep_memory=40) as models:
        small = [await use(models, "a"), await use(models, "b")]
        factory.memory = 100
        await use(models, "c")
        assert sorted(engine.closed for engine in small) == [False, True]
        assert models.engines.sleepers.host_memory == 40


async def test_what_a_sleeper_keeps_counts() -> None:
    """Two that are awake fit, but not beside what a third one keeps."""
    factory = FakeFactory(memory=50, asleep=Rest(40, accelerator=10))
    async with models_that_sleep(factory, budget=100) as models:
        first, second = await use(models, "a"), await use(models, "b")
        await use(models, "c")
        assert first.asleep
        assert second.asleep
        assert models.memory == 50 + 2 * 10


async def test_sleepers_end_where_what_they_keep_is_needed() -> None:
    factory = FakeFactory(memory=100, asleep=Rest(40, accelerator=10))
    async with models_that_sleep(factory) as models:
        first = await use(models, "a")
        await use(models, "b")
        assert first.closed
        assert models.memory == 100


async def test_one_that_died_in_its_sleep_is_started_again() -> None:
    factory = FakeFactory(memory=100, asleep=Rest(40))
    async with models_that_sleep(factory) as models:
        first = await use(models, "a")
        await use(models, "b")
        first.kill()
        assert await use(models, "a") is not first
        assert factory.started == ["a", "b", "a"]
        assert models.memory == 100


async def test_a_model_that_is_unloaded_does_not_sleep() -> None:
    factory = FakeFactory(memory=100, asleep=Rest(40))
    async with models_that_sleep(factory) as models:
        first = await use(models, "a")
        assert await models.unload(model("a").digest)
        assert first.closed
        assert not len(models.engines.sleepers)


async def test_a_sleeper_stays_asleep_while_there_is_no_room() -> None:
    factory = FakeFactory(memory=100, asleep=Rest(40))
    async with models_that_sleep(factory) as models:
        first = await use(models, "a")
        async with models.use(model("b"), None):
            with pytest.raises(NoRoom):
                await use(models, "a")
        assert first.asleep
        assert await use(models, "a") is first
