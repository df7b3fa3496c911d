"""A worker that leaves: what it finishes, what it hands to others, and what they make of it."""

import asyncio
from pathlib import Path

import pytest

from common.errors import Interrupted
from common.rpc import rpc_errors
from protos.paddock.v1 import generation_pb2, inference_pb2, worker_pb2
from tests.workers.fakes import FakeFactory
from tests.workers.harness import Answer, completion, model, running_worker

LEAVING = ("Interrupted", "the worker is shutting down")


def failure(answer: Answer) -> tuple[str, str]:
    assert answer.failure
    return answer.failure.reason, answer.failure.message


async def test_what_runs_may_finish_and_nothing_else_begins(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(pace=0.01)) as worker:
        router = worker.router()
        router.start(1, model(), completion("abc", num_predict=30))
        await router.read()
        draining = asyncio.create_task(worker.models.drain(30))
        await worker.until(lambda status: status.draining)
        assert failure(await worker.ask(model(), completion("abc"))) == LEAVING
        load = worker_pb2.LoadModelRequest(spec=model())
        with pytest.raises(Interrupted), rpc_errors():
            _ = [progress async for progress in worker.stub.Load(load)]
        inputs = inference_pb2.EmbedRequest(inputs=["a"])
        with pytest.raises(Interrupted), rpc_errors():
            await worker.stub.Embed(worker_pb2.EmbedSequencesRequest(spec=model(), request=inputs))
        with pytest.raises(Interrupted), rpc_errors():
            await worker.stub.Render(
                worker_pb2.RenderSequenceRequest(spec=model(), generation=completion("abc"))
            )
        assert not draining.done()
        [answer] = await router.finish()
        assert len(answer.text) == 30
        await asyncio.wait_for(draining, 30)


async def test_the_stream_ends_after_the_last_update(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(pace=0.01)) as worker:
        router = worker.router()
        for number in range(5):
            router.start(number, model(), completion("abc"))
        await router.read()
        await worker.models.drain(0.1)
        answers = await router.finish()
        assert [failure(answer) for answer in answers] == [LEAVING] * 5
        assert all(answer.text for answer in answers)
        assert not await router.read()
        assert worker.factory.engines[0].running == 0


async def test_who_waits_for_a_load_goes_elsewhere_at_once(tmp_path: Path) -> None:
    factory = FakeFactory()
    factory.gate.clear()
    async with running_worker(tmp_path, factory) as worker:
        router = worker.router()
        router.start(1, model(), completion("abc"))
        await worker.until(lambda status: bool(status.models))
        async with asyncio.timeout(5):
            await worker.models.drain()
            [answer] = await router.finish()
        assert failure(answer) == LEAVING
        factory.gate.set()


async def test_who_waits_in_the_engine_s_queue_goes_elsewhere_at_once(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(pace=0.01)) as worker:
        router = worker.router()
        for number in range(11):  # the engine runs eight at once
            router.start(number, model(), completion("abc", num_predict=100))
        await worker.until(lambda status: bool(status.models and status.models[0].waiting == 3))
        draining = asyncio.create_task(worker.models.drain())
        answers = await router.finish()
        assert [bool(answer.completed) for answer in answers] == [True] * 8 + [False] * 3
        assert {failure(answer) for answer in answers[8:]} == {LEAVING}
        await draining


async def test_going_on_where_another_worker_left(tmp_path: Path) -> None:
    generation = completion("abcdefg", num_predict=60, stop=["gabcz"])
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    async with running_worker(second, FakeFactory()) as other:
        whole = await other.ask(model(), generation)
        async with running_worker(first, FakeFactory(pace=0.01)) as worker:
            router = worker.router()
            router.start(1, model(), generation)
            while len(router.answers[1].tokens) < 20:
                await router.read()
            await worker.models.drain(0)
            [left] = await router.finish()
        assert failure(left) == LEAVING
        assert left.text
        assert whole.text.startswith(left.text)
        router = other.router()
        router.start(1, model(), generation, tokens=left.tokens)
        [answer] = await router.finish()
        assert (answer.text, answer.tokens) == (whole.text, whole.tokens)
        assert answer.completed
        assert whole.completed
        assert answer.completed.usage.completion_tokens == 60
        assert answer.completed.usage.prompt_tokens == whole.completed.usage.prompt_tokens
        assert answer.completed.reason == generation_pb2.FINISH_REASON_LENGTH


async def test_the_first_tokens_tell_what_the_prompt_took(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory()) as worker:
        answer = await worker.ask(model(), completion("abc", num_predict=5))
        assert answer.usage
        assert answer.completed
        assert answer.usage.prompt_tokens == 3
        assert answer.usage.load_duration > 0
        assert answer.usage.prompt_duration == answer.completed.usage.prompt_duration
        assert answer.tokens == [ord(letter) for letter in "abcab"]


async def test_who_watches_a_worker_does_not_hold_it_up(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory()) as worker:
        watching = asyncio.create_task(worker.until(lambda _: False))
        await asyncio.sleep(0.1)
        await worker.models.drain()
        assert not watching.done()
        await worker.servicer.finish(1)
        with pytest.raises(AssertionError, match="the watch ended"):
            await asyncio.wait_for(watching, 0.5)
