"""How many models a worker holds at once, and what it tells of their use."""

import asyncio
import time
from pathlib import Path

from tests.workers.fakes import FakeFactory
from tests.workers.harness import completion, model, names, running_worker


async def test_only_so_many_models_are_loaded_and_idle_ones_give_way(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(), max_engines=2) as worker:
        for name in "abc":
            answer = await worker.ask(model(name), completion("abc", num_predict=3))
            assert answer.text == "abc"
        status = await worker.until(lambda status: len(status.models) == 2)
        assert names(status) == {"b", "c"}


async def test_no_more_models_while_all_are_in_use(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(pace=0.01), max_engines=1) as worker:
        router = worker.router()
        router.start(1, model("a"), completion("abc"))
        await router.read()
        refused = await worker.ask(model("b"), completion("abc"))
        assert refused.failure
        assert refused.failure.reason == "NoRoom"
        router.hang_up()


async def test_when_a_model_was_used(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory()) as worker:
        for name in "ab":
            await worker.ask(model(name), completion("abc", num_predict=3), keep_alive=-1)
            await asyncio.sleep(0.1)
        status = await worker.until(lambda status: all(not it.running for it in status.models))
        used = {it.spec.name: it.used_at.ToNanoseconds() / 1e9 for it in status.models}
        assert used["a"] < used["b"] <= time.time()
        assert used["a"] > time.time() - 60
        assert not any(it.HasField("expires_at") for it in status.models)
