"""Readers that are slow, or gone: they hold nobody up, and nothing piles up for them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.errors import Interrupted
from protos.paddock.v1 import generation_pb2, worker_pb2
from services.inference.commands import Commands
from tests.services.inference.routers import answers, site
from tests.services.inference.routers import question as asked
from tests.services.inference.test_migration import TEXT, finish
from tests.services.inference.test_router import Cluster, question, settle


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_an_answer_that_nobody_reads_holds_no_place(cluster: Cluster) -> None:
    await cluster.ask("one", "x")
    unread = [cluster.router.generate(question("one", TEXT)) for _ in range(2)]
    begun = [await anext(events) for events in unread]
    async with asyncio.timeout(5):
        assert await cluster.ask("one", "turn") == "turn "
    await settle(lambda: not any(it.in_flight for it in cluster.fleet.candidates()))
    await asyncio.sleep(0.3)
    for first, events in zip(begun, unread, strict=True):
        whole, completed = await finish(events)
        assert isinstance(first, generation_pb2.Delta)
        assert first.content + whole.content == f"{TEXT} "
        assert isinstance(completed, generation_pb2.Completed)
        assert completed.usage.total_duration < 300_000_000, "how long it was unread is left out"


async def test_an_answer_that_is_read_after_its_router_left_is_interrupted(tmp_path: Path) -> None:
    async with site(tmp_path, workers=1, drain_timeout="200ms") as made:
        unread = answers(made.services[0].stub, asked(f"{'x' * 100_000} " * 150))
        await anext(unread)
        await asyncio.sleep(0.3)
        made.services[0].stop.set()
        await asyncio.wait_for(made.services[0].serving, 5)
        with pytest.raises(Interrupted):
            async for _ in unread:
                pass


async def test_a_start_that_was_not_sent_is_taken_back() -> None:
    commands = Commands()
    commands.start(worker_pb2.StartSequence(sequence=1))
    commands.start(worker_pb2.StartSequence(sequence=2))
    assert (await commands.take()).start.sequence == 1
    commands.cancel(2)
    assert len(commands) == 0
    commands.cancel(1)
    taking = asyncio.create_task(commands.take())
    assert (await taking).cancel.sequence == 1
    waiting = asyncio.create_task(commands.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    commands.start(worker_pb2.StartSequence(sequence=3))
    assert (await waiting).start.sequence == 3
