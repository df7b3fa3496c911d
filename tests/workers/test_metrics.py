"""What Prometheus reads of a worker."""

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from common.errors import OutOfMemory
from tests.workers.fakes import FakeFactory, NoFiles, load_failure
from tests.workers.harness import completion, model
from workers.engine import Prompt
from workers.metrics import LoadMetrics, WorkerMetrics
from workers.models import Models

Values = dict[tuple[str, ...], float]


class Told:
    """A worker's models, and what Prometheus is told of them."""

    def __init__(self, factory: FakeFactory, budget: int = 1000) -> None:
        registry = CollectorRegistry()
        self.models = Models(
            factory, NoFiles(), budget, keep_alive=-1, observer=LoadMetrics(registry)
        )
        registry.register(WorkerMetrics(self.models))
        self._registry = registry

    def read(self) -> Values:
        """Give all samples by name and labels."""
        text = generate_latest(self._registry).decode()
        return {
            (sample.name.removeprefix("paddock_worker_"), *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


async def test_an_engine_in_use() -> None:
    factory = FakeFactory()
    told = Told(factory)
    async with told.models.use(model(), None) as ready, told.models.use(model(), None):
        steps = ready.engine.generate(Prompt([1, 2]), completion("ab"))
        await anext(steps)
        found = told.read()
        assert found["running_sequences", "a"] == 1
        assert found["waiting_sequences", "a"] == 1
        assert found["kv_cache_usage_ratio", "a"] == 0.01
        await steps.aclose()
    found = told.read()
    assert found["running_sequences", "a"] == found["waiting_sequences", "a"] == 0
    assert found["loaded_models",] == 1
    assert found["memory_used_bytes",] == 100
    assert found["memory_budget_bytes",] == 1000
    await told.models.aclose()
    assert told.read()["loaded_models",] == 0


async def test_who_waits_for_a_load() -> None:
    factory = FakeFactory()
    factory.gate.clear()
    told = Told(factory)

    async def use() -> None:
        async with told.models.use(model(), None):
            pass

    uses = [asyncio.create_task(use()) for _ in range(3)]
    await until(lambda: bool(factory.started))
    found = told.read()
    assert (found["running_sequences", "a"], found["waiting_sequences", "a"]) == (0, 3)
    assert found["loaded_models",] == 0
    factory.gate.set()
    await asyncio.gather(*uses)
    found = told.read()
    assert found["loads_total", "OK"] == found["load_seconds_count",] == 1
    await told.models.aclose()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


async def test_loads_that_come_to_nothing() -> None:
    factory = FakeFactory()
    told = Told(factory)
    factory.failure = load_failure()
    with pytest.raises(type(factory.failure)):
        async with told.models.use(model(), None):
            pass
    factory.failure = OutOfMemory("too large")
    with pytest.raises(OutOfMemory):
        async with told.models.use(model(), None):
            pass
    found = told.read()
    assert found["loads_total", "LoadFailed"] == found["loads_total", "OutOfMemory"] == 1
    assert found["load_seconds_count",] == 0
    assert found["memory_used_bytes",] == 0


async def test_two_engines_of_one_name() -> None:
    told = Told(FakeFactory())
    new = model("a", "new weights")
    new.digest = "digest of the new weights"
    async with told.models.use(model("a"), None), told.models.use(new, None) as ready:
        steps = ready.engine.generate(Prompt([1, 2]), completion("ab"))
        await anext(steps)
        found = told.read()
        assert (found["running_sequences", "a"], found["waiting_sequences", "a"]) == (1, 1)
        await steps.aclose()
    await told.models.aclose()
