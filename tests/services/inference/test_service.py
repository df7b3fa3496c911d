"""The whole Inference service: calls that end early, and a process that leaves."""

import asyncio
from pathlib import Path

import grpc
import pytest

from common.errors import Busy, Interrupted, TimedOut
from common.rpc import is_serving
from protos.paddock.v1 import inference_pb2
from tests.services.inference.answers import answers
from tests.services.inference.routers import Site, question, site
from tests.services.inference.test_router import settle

WORDS = [f"{number}." for number in range(40)]
TEXT = " ".join(WORDS)
LONG = "word " * 10_000


async def occupy(made: Site, requests: int) -> "list[asyncio.Task[str]]":
    """Load the model, and let that many requests run for long."""
    assert await made.ask(question("x")) == "x "
    before = made.started
    tasks = [asyncio.create_task(made.ask(question(LONG))) for _ in range(requests)]
    await settle(lambda: made.started == before + requests)
    return tasks


async def leave(tasks: "list[asyncio.Task[str]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def running(made: Site) -> int:
    return sum(len(worker.running) for worker in made.workers)


async def test_a_deadline_reaches_the_worker(tmp_path: Path) -> None:
    async with site(tmp_path) as made:
        with pytest.raises(TimedOut):
            async for _ in answers(made.services[0].stub, question(LONG), timeout=0.3):
                pass
        await settle(lambda: made.started and not running(made))
        assert sum(len(worker.canceled) for worker in made.workers) == 1


async def test_a_deadline_ends_the_wait_for_a_turn(tmp_path: Path) -> None:
    async with site(tmp_path, workers=1, max_queue=1) as made:
        busy = await occupy(made, 2)
        with pytest.raises(TimedOut):
            async for _ in answers(made.services[0].stub, question("late"), timeout=0.2):
                pass
        started = made.started
        waiting = asyncio.create_task(made.ask(question("in its place")))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await leave(busy[:1])
        assert await waiting == "in its place "
        assert made.started == started + 1
        await leave(busy)


@pytest.mark.parametrize("stage", ["resolving", "waiting", "loading", "answering", "unread"])
async def test_a_caller_that_goes_leaves_nothing_behind(tmp_path: Path, stage: str) -> None:
    async with site(tmp_path, workers=1) as made:
        (worker,) = made.workers
        busy = await occupy(made, 2) if stage == "waiting" else []
        made.registry.stalls = stage == "resolving"
        worker.load_time = 60.0 if stage == "loading" else 0.0
        worker.step = 0.01
        text = f"{'word' * 5_000} " * 1_000 if stage == "unread" else LONG
        call = answers(made.services[0].stub, question(text))
        first = asyncio.create_task(anext(call))
        if stage in ("answering", "unread"):
            await first
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.wait({first})
        await call.aclose()
        made.registry.stalls = False
        worker.load_time = 0.0
        await leave(busy)
        await settle(lambda: not worker.running)
        if stage in ("answering", "unread"):
            assert len(worker.canceled) == 1
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(made.ask(question("x")) for _ in range(4))) == ["x "] * 4


async def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    async with site(tmp_path, workers=1, max_queue=0) as made:
        busy = await occupy(made, 2)
        with pytest.raises(Busy, match="maximum pending requests exceeded") as refused:
            await made.ask(question("x"))
        assert refused.value.retry_after is not None
        assert refused.value.retry_after >= 1
        await leave(busy)


async def test_one_request_loads_a_model_and_the_others_wait_no_longer_than_that(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, workers=2) as made:
        for worker in made.workers:
            worker.load_time = 0.3
        asked = [asyncio.create_task(made.ask(question("x"))) for _ in range(10)]
        await asyncio.sleep(0.2)
        assert made.started == 1
        async with asyncio.timeout(1):
            assert await asyncio.gather(*asked) == ["x "] * 10


async def test_nobody_waits_for_longer_than_the_queue_timeout(tmp_path: Path) -> None:
    async with site(tmp_path, workers=1, queue_timeout="100ms") as made:
        busy = await occupy(made, 2)
        with pytest.raises(TimedOut):
            await made.ask(question("x"))
        await leave(busy)


async def test_a_service_that_leaves_lets_what_runs_finish(tmp_path: Path) -> None:
    async with site(tmp_path, drain_delay="300ms", drain_timeout="10s") as made:
        made.workers[0].step = made.workers[1].step = 0.02
        first = asyncio.create_task(made.ask(question(TEXT)))
        await settle(lambda: made.started)
        made.services[0].stop.set()
        async with asyncio.timeout(5):
            while await is_serving(made.services[0].address):
                await asyncio.sleep(0.01)
        assert await made.ask(question("late")) == "late ", "it says no before it refuses"
        assert await first == f"{TEXT} "
        await asyncio.wait_for(made.services[0].serving, 5)


async def test_what_does_not_finish_in_time_is_interrupted(tmp_path: Path) -> None:
    async with site(tmp_path, workers=1, drain_timeout="1600ms") as made:
        await made.ask(question("x"))
        running = [asyncio.create_task(made.services[0].ask(question(LONG))) for _ in range(2)]
        await settle(lambda: len(made.workers[0].running) == 2)
        waiting = asyncio.create_task(made.services[0].ask(question(TEXT)))
        await asyncio.sleep(0.1)
        made.services[0].stop.set()
        with pytest.raises(Interrupted, match="the router is shutting down"):
            await asyncio.wait_for(waiting, 1)
        for asked in running:
            with pytest.raises(Interrupted):
                await asked
        await asyncio.wait_for(made.services[0].serving, 5)
        await settle(lambda: not made.workers[0].running)


async def test_a_load_is_interrupted_too(tmp_path: Path) -> None:
    async with site(tmp_path, workers=1, drain_timeout="200ms") as made:
        made.workers[0].load_time = 60.0
        load = made.services[0].stub.Load(inference_pb2.LoadRequest(model="one"))
        await asyncio.sleep(0.1)
        made.services[0].stop.set()
        with pytest.raises(grpc.aio.AioRpcError, match="the router is shutting down"):
            await load


async def test_another_router_goes_on_with_what_one_left(tmp_path: Path) -> None:
    async with site(tmp_path, routers=2, drain_timeout="200ms") as made:
        for worker in made.workers:
            worker.step = 0.02
        asked = [asyncio.create_task(made.ask(question(TEXT))) for _ in range(6)]
        await settle(lambda: made.started)
        made.services[0].stop.set()
        assert await asyncio.gather(*asked) == [f"{TEXT} "] * 6
        assert any(start.tokens for worker in made.workers for start in worker.started)
