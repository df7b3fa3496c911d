"""Readers that are slow, or gone: they hold nobody up, and nothing piles up for them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protos.paddock.v1 import generation_pb2
from tests.services.inference.answers import events
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
    unread = [events(cluster.router, question("one", TEXT)) for _ in range(2)]
    begun = [await anext(answer) for answer in unread]
    async with asyncio.timeout(5):
        assert await cluster.ask("one", "turn") == "turn "
    await settle(lambda: not any(it.in_flight for it in cluster.fleet.candidates()))
    await asyncio.sleep(0.3)
    for first, rest in zip(begun, unread, strict=True):
        whole, completed = await finish(rest)
        assert isinstance(first, generation_pb2.Delta)
        assert first.content + whole.content == f"{TEXT} "
        assert isinstance(completed, generation_pb2.Completed)
        assert completed.usage.total_duration < 300_000_000, "how long it was unread is left out"
