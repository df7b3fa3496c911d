import asyncio
import logging
import threading
from pathlib import Path

import pytest

from common.errors import CapabilityMissing, LoadFailed, NoRoom
from common.rpc import rpc_errors
from protos.paddock.v1 import inference_pb2, model_pb2, worker_pb2
from tests.workers.fakes import FakeFactory, load_failure
from tests.workers.harness import Worker, completion, model, names, running_worker

LOADING = worker_pb2.WorkerModel.STATE_LOADING
READY = worker_pb2.WorkerModel.STATE_READY
UNLOADING = worker_pb2.WorkerModel.STATE_UNLOADING


async def load(worker: Worker, spec: model_pb2.ModelSpec, keep_alive: int | None = None) -> None:
    request = worker_pb2.LoadModelRequest(spec=spec, keep_alive=keep_alive)
    with rpc_errors():
        phases = [progress.phase async for progress in worker.stub.Load(request)]
    assert phases[-1] == "ready"


async def unload(worker: Worker, spec: model_pb2.ModelSpec) -> bool:
    request = worker_pb2.UnloadModelRequest(digest=spec.digest)
    return (await worker.stub.Unload(request)).was_loaded


async def status(worker: Worker) -> worker_pb2.WorkerStatus:
    return await worker.until(lambda _: True)


async def test_load_and_unload(worker: Worker) -> None:
    await load(worker, model())
    found = await status(worker)
    assert (found.memory_budget, found.memory_used) == (1000, 100)
    [loaded] = found.models
    assert (loaded.state, loaded.memory, loaded.spec.name) == (READY, 100, "a")
    assert (loaded.context_length, loaded.max_sequences) == (1000, 8)
    assert loaded.HasField("expires_at")
    assert await unload(worker, model())
    found = await status(worker)
    assert not found.models
    assert found.memory_used == 0
    assert worker.factory.engines[0].closed
    assert not await unload(worker, model())


async def test_all_who_want_a_model_wait_for_one_load(worker: Worker) -> None:
    worker.factory.gate.clear()
    router = worker.router()
    for number in range(5):
        router.start(number, model(), completion("abc", num_predict=3))
    found = await worker.until(lambda it: bool(it.models) and it.models[0].waiting == 5)
    assert found.models[0].state == LOADING
    worker.factory.gate.set()
    assert [answer.text for answer in await router.finish()] == ["abc"] * 5
    assert worker.factory.started == ["a"]
    router.hang_up()


async def test_one_who_leaves_does_not_end_the_load_of_others(worker: Worker) -> None:
    worker.factory.gate.clear()
    router = worker.router()
    router.start(1, model(), completion("abc", num_predict=3))
    router.start(2, model(), completion("abc", num_predict=3))
    await worker.until(lambda it: bool(it.models) and it.models[0].waiting == 2)
    router.cancel(1)
    await worker.until(lambda it: it.models[0].waiting == 1)
    worker.factory.gate.set()
    [answer] = await router.finish(2)
    assert answer.text == "abc"
    router.hang_up()


async def test_equal_weights_share_an_engine_and_expire_apart(worker: Worker) -> None:
    one, two = model("one", "same"), model("two", "same")
    await load(worker, one)
    await load(worker, two)
    found = await status(worker)
    assert names(found) == {"one", "two"}
    assert found.memory_used == 100
    await unload(worker, one)
    assert names(await status(worker)) == {"two"}
    assert not worker.factory.engines[0].closed
    await unload(worker, two)
    assert worker.factory.engines[0].closed
    assert len(worker.factory.engines) == 1


async def test_two_models_at_once(worker: Worker) -> None:
    await load(worker, model("chat"))
    await load(worker, model("embed", "", "embedding"))
    assert names(await status(worker)) == {"chat", "embed"}


async def test_the_least_recently_used_makes_room(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(memory=400)) as worker:
        for name in ("a", "b"):
            await load(worker, model(name))
        await worker.ask(model("a"), completion("x", num_predict=1))
        await load(worker, model("c"))
        assert names(await status(worker)) == {"a", "c"}


async def test_what_is_in_use_is_not_evicted(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(memory=600, pace=0.01)) as worker:
        router = worker.router()
        router.start(1, model("a"), completion("abc"))
        await router.read()
        with pytest.raises(NoRoom, match="requires more memory"):
            await load(worker, model("b"))
        assert names(await status(worker)) == {"a"}
        router.cancel(1)
        await worker.until(lambda it: not it.models[0].running)
        await load(worker, model("b"))
        assert names(await status(worker)) == {"b"}
        router.hang_up()


async def test_what_a_request_keeps_for_ever_is_evicted_last(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(memory=400)) as worker:
        await load(worker, model("a"), keep_alive=-1)
        assert not (await status(worker)).models[0].HasField("expires_at")
        await load(worker, model("b"))
        await load(worker, model("c"), keep_alive=-1)
        assert names(await status(worker)) == {"a", "c"}
        await load(worker, model("d"))
        assert names(await status(worker)) == {"c", "d"}


async def test_what_is_kept_for_ever_and_in_use_is_not_evicted(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(memory=600, pace=0.01)) as worker:
        router = worker.router()
        router.start(1, model("a"), completion("abc"), keep_alive=-1)
        await router.read()
        with pytest.raises(NoRoom):
            await load(worker, model("b"))
        assert names(await status(worker)) == {"a"}
        router.hang_up()


async def test_no_room_is_no_error_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "workers")
    async with running_worker(tmp_path, FakeFactory(memory=2000)) as worker:
        with pytest.raises(NoRoom):
            await load(worker, model("a"))
        worker.factory.memory, worker.factory.failure = 100, load_failure()
        with pytest.raises(LoadFailed):
            await load(worker, model("b"))
    levels = [record.levelname for record in caplog.records if "cannot load" in record.message]
    assert levels == ["INFO", "ERROR"]


async def test_a_model_that_does_not_load(worker: Worker) -> None:
    worker.factory.failure = load_failure()
    with pytest.raises(LoadFailed, match="no such architecture"):
        await load(worker, model())
    answer = await worker.ask(model(), completion("abc"))
    assert answer.failure
    assert answer.failure.reason == "LoadFailed"
    found = await status(worker)
    assert not found.models
    assert found.memory_used == 0
    worker.factory.failure = None
    await load(worker, model())


async def test_unload_of_a_model_in_use_waits_for_its_end(tmp_path: Path) -> None:
    async with running_worker(tmp_path, FakeFactory(pace=0.01)) as worker:
        router = worker.router()
        router.start(1, model(), completion("abc", num_predict=30))
        await router.read()
        assert await unload(worker, model())
        [answer] = await router.finish()
        assert len(answer.text) == 30
        await worker.until(lambda it: not it.models)
        router.hang_up()


async def test_a_load_that_fails_when_nobody_waits_any_more(worker: Worker) -> None:
    worker.factory.gate.clear()
    worker.factory.failure = load_failure()
    loading = asyncio.create_task(load(worker, model()))
    await worker.until(lambda it: bool(it.models))
    loading.cancel()
    await worker.until(lambda it: not it.models[0].waiting)
    worker.factory.gate.set()
    await worker.until(lambda it: not it.models)


async def test_a_request_that_outlives_its_engine_leaves_nothing(worker: Worker) -> None:
    """The engine is noticed to be dead, and being ended, before the request on it fails."""
    async with worker.models.use(model(), None):
        [engine] = worker.factory.engines
        engine.closing.clear()
        engine.kill()
        await worker.until(lambda it: it.models[0].state == UNLOADING)
    engine.closing.set()
    await worker.until(lambda it: not it.models)


async def test_a_slow_tokenizer_holds_up_its_own_model_alone(worker: Worker) -> None:
    await load(worker, model("slow"))
    [engine] = worker.factory.engines
    engine.tokenizer.free.clear()
    router = worker.router()
    router.start(1, model("slow"), completion("abc", num_predict=3))
    try:
        async with asyncio.timeout(5):
            answer = await worker.ask(model("quick"), completion("xyz", num_predict=3))
    finally:
        engine.tokenizer.free.set()
    assert answer.text == "xyz"
    [answer] = await router.finish()
    assert answer.text == "abc"
    router.hang_up()


async def test_a_costly_prompt_holds_up_its_own_kind_alone(worker: Worker) -> None:
    await load(worker, model())
    router = worker.router()
    slow = completion("abc", num_predict=3, raw=False)
    slow.template, slow.own_template = "{{ range 10000000 }}{{ end }}", True
    router.start(1, model(), slow)
    answer = await worker.ask(model(), completion("xyz", num_predict=3))
    assert answer.text == "xyz"
    assert not router.answers[1].failure
    [answer] = await router.finish()
    assert answer.failure
    router.hang_up()


async def test_the_thread_of_a_model_ends_with_it(worker: Worker) -> None:
    def threads() -> int:
        return sum(thread.name.startswith("render") for thread in threading.enumerate())

    before = threads()
    await worker.ask(model(), completion("abc", num_predict=3))
    assert threads() == before + 1
    await unload(worker, model())
    async with asyncio.timeout(5):
        while threads() > before:
            await asyncio.sleep(0.01)


async def test_a_cancelled_load_goes_on_for_the_next(worker: Worker) -> None:
    worker.factory.gate.clear()
    loading = asyncio.create_task(load(worker, model()))
    await worker.until(lambda it: bool(it.models))
    loading.cancel()
    await worker.until(lambda it: not it.models[0].waiting)
    worker.factory.gate.set()
    await worker.until(lambda it: it.models[0].state == READY)


def embedding(*inputs: str, **more: object) -> inference_pb2.EmbedRequest:
    return inference_pb2.EmbedRequest(inputs=inputs, **more)  # type: ignore[arg-type]


async def test_embed(worker: Worker) -> None:
    request = worker_pb2.EmbedSequencesRequest(
        spec=model("e", "", "embedding"), request=embedding("ab", "c", normalize=True)
    )
    response = await worker.stub.Embed(request)
    assert response.usage.prompt_tokens == 3
    first, second = (list(found.values) for found in response.embeddings)
    assert sum(value * value for value in first) == pytest.approx(1)
    assert second[0] / second[2] == pytest.approx(1)


async def test_a_chat_model_does_not_embed(worker: Worker) -> None:
    request = worker_pb2.EmbedSequencesRequest(spec=model(), request=embedding("ab"))
    with pytest.raises(CapabilityMissing, match="does not support embeddings"), rpc_errors():
        await worker.stub.Embed(request)
