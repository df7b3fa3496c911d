"""Answers that begin while the Registry is asked what their model's name stands for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.errors import Busy, ModelNotFound
from protos.paddock.v1 import generation_pb2, registry_pb2
from services.inference.head_start import answer_ahead
from services.inference.sequence import Taker
from tests.services.inference.fakes import resolved
from tests.services.inference.test_router import Cluster, settle

ONE, OTHER = resolved("one"), resolved("other")


class Taken:
    """The text that was passed on."""

    def __init__(self) -> None:
        self.text = ""

    def take_text(self, content: str, token: int) -> None:
        self.text += content

    def take(self, delta: generation_pb2.Delta) -> None:
        self.text += delta.content


class Model:
    """Says its name in three pieces and waits before the last."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.begun: list[str] = []
        self.canceled = 0

    async def answer(
        self, model: registry_pb2.ResolvedModel, taker: Taker
    ) -> generation_pb2.Completed:
        self.begun.append(model.spec.name)
        if model is OTHER:
            raise Busy("no")
        taker.take(generation_pb2.Delta(content=model.spec.name))
        taker.take_text(" and", 1)
        try:
            await self.goes_on.wait()
        except asyncio.CancelledError:
            self.canceled += 1
            raise
        taker.take_text(" on", 2)
        return generation_pb2.Completed()


async def test_nothing_is_passed_on_before_the_guess_is_confirmed() -> None:
    confirmed: asyncio.Future[registry_pb2.ResolvedModel] = asyncio.Future()
    model, taken = Model(), Taken()

    async def resolve() -> registry_pb2.ResolvedModel:
        return await confirmed

    answering = asyncio.create_task(answer_ahead(ONE, resolve(), model.answer, taken))
    await asyncio.sleep(0.01)
    assert (model.begun, taken.text) == (["one:latest"], "")
    confirmed.set_result(resolved("one"))
    await settle(lambda: taken.text == "one:latest and")
    model.goes_on.set()
    assert isinstance(await answering, generation_pb2.Completed)
    assert taken.text == "one:latest and on"
    assert model.begun == ["one:latest"]


@pytest.mark.parametrize("guess", [resolved("two"), OTHER], ids=["runs", "fails"])
async def test_a_wrong_guess_leaves_no_trace(guess: registry_pb2.ResolvedModel) -> None:
    model, taken = Model(), Taken()

    async def resolve() -> registry_pb2.ResolvedModel:
        await asyncio.sleep(0.01)
        model.goes_on.set()
        return ONE

    await answer_ahead(guess, resolve(), model.answer, taken)
    assert taken.text == "one:latest and on"
    assert model.begun == [guess.spec.name, "one:latest"]


async def test_who_leaves_cancels_both() -> None:
    model, asked = Model(), asyncio.Event()

    async def resolve() -> registry_pb2.ResolvedModel:
        asked.set()
        return await asyncio.Future()

    answering = asyncio.create_task(answer_ahead(ONE, resolve(), model.answer, Taken()))
    await asked.wait()
    await asyncio.sleep(0)
    answering.cancel()
    await asyncio.wait({answering})
    assert answering.cancelled()
    assert model.canceled == 1


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_what_was_replaced_or_removed_is_not_served(cluster: Cluster) -> None:
    assert await cluster.ask("one", "a b") == "a b "
    cluster.models["one"].spec.digest = "another"
    assert await cluster.ask("one", "c d") == "c d "
    started = [start for worker in cluster.workers for start in worker.started]
    assert started[-1].spec.digest == "another"
    del cluster.models["one"]
    with pytest.raises(ModelNotFound):
        await cluster.ask("one", "e f")
    await settle(lambda: not any(worker.running for worker in cluster.workers))
