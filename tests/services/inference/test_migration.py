"""Answers that go on when whoever made them is lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.errors import Interrupted, InvalidRequest, PaddockError, WorkerLost
from common.mailbox import Event
from protos.paddock.v1 import generation_pb2, inference_pb2
from tests.services.inference.answers import events
from tests.services.inference.fakes import FakeWorker, unix_address
from tests.services.inference.test_router import Cluster, question, settle

WORDS = [f"{number}." for number in range(30)]
TEXT = " ".join(WORDS)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def finish(events: AsyncIterator[Event]) -> tuple[generation_pb2.Delta, Event]:
    """Read to the end; give what came, joined, and how it ended."""
    whole = generation_pb2.Delta()
    async for event in events:
        if isinstance(event, generation_pb2.Completed):
            return whole, event
        whole.content += event.content
        whole.tokens.extend(event.tokens)
    raise AssertionError("it never ended")


def holder(cluster: Cluster) -> FakeWorker:
    return next(worker for worker in cluster.workers if worker.running)


async def test_a_worker_that_dies_in_the_middle_costs_nothing(cluster: Cluster) -> None:
    for worker in cluster.workers:
        worker.step = 0.02
    told = events(cluster.router, question("one", TEXT))
    first = [await anext(told) for _ in range(5)]
    await holder(cluster).die()
    whole, completed = await finish(told)
    begun = [delta for delta in first if isinstance(delta, generation_pb2.Delta)]
    assert "".join(delta.content for delta in begun) + whole.content == f"{TEXT} "
    tokens = [token for delta in begun for token in delta.tokens] + list(whole.tokens)
    assert tokens == list(range(30))
    assert isinstance(completed, generation_pb2.Completed)
    usage = completed.usage
    assert usage.completion_tokens == 30
    assert usage.prompt_duration == 1, "what the prompt took at first"
    assert 0 < usage.completion_duration < usage.total_duration
    resumed = [start for worker in cluster.workers for start in worker.started if start.tokens]
    assert list(resumed[0].tokens) == list(range(len(resumed[0].tokens)))
    assert len(resumed[0].tokens) >= 5


@pytest.mark.parametrize("error", [WorkerLost(), Interrupted("the worker is shutting down")])
async def test_many_losses_are_survived_as_long_as_there_is_progress(
    cluster: Cluster, error: PaddockError
) -> None:
    for worker in cluster.workers:
        worker.leaves_after = [(at, error) for at in (1, 2, 5, 8, 9, 20, 29)]
    if isinstance(error, Interrupted):  # who leaves says so in its status as well
        cluster.workers[1].leaves_after = []
        cluster.workers[0].leaves_after = [(7, error)]
    whole, completed = await finish(events(cluster.router, question("one", TEXT)))
    assert whole.content == f"{TEXT} "
    assert isinstance(completed, generation_pb2.Completed)


async def test_a_request_that_kills_every_worker_ends(cluster: Cluster) -> None:
    for worker in cluster.workers:
        worker.leaves_after = [(4, WorkerLost())] * 100
    with pytest.raises(WorkerLost, match="model runner has unexpectedly stopped"):
        await finish(events(cluster.router, question("one", TEXT)))
    started = sum(len(worker.started) for worker in cluster.workers)
    assert 3 <= started <= 4, "two that are lost at once count as one"


async def test_an_error_of_the_request_itself_is_final(cluster: Cluster) -> None:
    for worker in cluster.workers:
        worker.leaves_after = [(4, InvalidRequest("no"))]
    with pytest.raises(InvalidRequest, match="no"):
        await finish(events(cluster.router, question("one", TEXT)))
    assert sum(len(worker.started) for worker in cluster.workers) == 1


async def test_with_no_other_worker_it_waits_for_one(cluster: Cluster) -> None:
    for worker in cluster.workers:
        worker.step = 0.02
    told = events(cluster.router, question("one", TEXT))
    begun = await anext(told)
    for worker in cluster.workers:
        await worker.die()
    rest = asyncio.create_task(finish(told))
    await asyncio.sleep(0.2)
    assert not rest.done()
    await cluster.workers[1].start(unix_address(cluster.folder, "b"))
    whole, _ = await rest
    assert isinstance(begun, generation_pb2.Delta)
    assert begun.content + whole.content == f"{TEXT} "


async def test_a_lost_stream_frees_its_place(cluster: Cluster) -> None:
    for worker in cluster.workers:
        worker.leaves_after = [(4, WorkerLost())] * 8
    for _ in range(2):
        with pytest.raises(WorkerLost):
            await finish(events(cluster.router, question("one", TEXT)))
    await settle(lambda: not cluster.admission.queues())


async def test_what_another_router_began_is_gone_on_with(cluster: Cluster) -> None:
    asked = question("one", TEXT)
    asked.resumption.tokens.extend(range(10))
    asked.resumption.usage.prompt_duration = 77
    asked.resumption.elapsed = 5_000_000_000
    asked.resumption.answering = 4_000_000_000
    whole, completed = await finish(events(cluster.router, asked))
    assert whole.content == f"{TEXT} ", "the gateway cuts off what it has"
    assert list(whole.tokens) == list(range(30))
    (start,) = [start for worker in cluster.workers for start in worker.started]
    assert list(start.tokens) == list(range(10))
    assert isinstance(completed, generation_pb2.Completed)
    assert completed.usage.prompt_duration == 77
    assert completed.usage.total_duration > 5_000_000_000
    assert 4_000_000_000 < completed.usage.completion_duration < completed.usage.total_duration


async def test_embedding_goes_elsewhere(cluster: Cluster) -> None:
    cluster.models["one"].spec.capabilities.append("embedding")
    await cluster.router.load(inference_pb2.LoadRequest(model="one"))
    await settle(lambda: any(worker.models for worker in cluster.workers))
    leaving = next(worker for worker in cluster.workers if worker.models)
    leaving.leaves = True
    answer = await cluster.router.embed(inference_pb2.EmbedRequest(model="one", inputs=["abc"]))
    assert answer.embeddings[0].values == [3.0]


async def test_an_embedding_that_kills_every_worker_ends(cluster: Cluster) -> None:
    cluster.models["one"].spec.capabilities.append("embedding")
    for worker in cluster.workers:
        worker.breaks = 100
    with pytest.raises(WorkerLost, match="model runner has unexpectedly stopped"):
        await cluster.router.embed(inference_pb2.EmbedRequest(model="one", inputs=["abc"]))
    assert 3 <= sum(100 - worker.breaks for worker in cluster.workers) <= 4


async def test_an_embedding_survives_a_worker_that_dies(cluster: Cluster) -> None:
    cluster.models["one"].spec.capabilities.append("embedding")
    for worker in cluster.workers:
        worker.breaks = 1
    answer = await cluster.router.embed(inference_pb2.EmbedRequest(model="one", inputs=["abc"]))
    assert answer.embeddings[0].values == [3.0]
