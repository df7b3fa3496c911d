"""Loads that nobody waits for any more."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from common.rpc import rpc_errors
from protos.paddock.v1 import model_pb2, worker_pb2
from tests.workers.fakes import FakeFactory, NoFiles
from tests.workers.harness import Worker, completion, model, running_worker
from workers.cache_entry import HeldFolder

LOADING = worker_pb2.WorkerModel.STATE_LOADING
READY = worker_pb2.WorkerModel.STATE_READY


class SlowFiles(NoFiles):
    """Files that come when a test lets them."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun = 0
        self.ended = 0

    async def fetch(
        self,
        identity: str,
        files: Sequence[model_pb2.ModelFile],
        progress: Callable[[int], None],
        *,
        name: str,
    ) -> HeldFolder:
        self.begun += 1
        try:
            await self.gate.wait()
        finally:
            self.ended += 1
        return await super().fetch(identity, files, progress, name=name)


@pytest.fixture
def files() -> SlowFiles:
    return SlowFiles()


@pytest.fixture
async def worker(tmp_path: Path, files: SlowFiles) -> AsyncIterator[Worker]:
    async with running_worker(tmp_path, FakeFactory(), files=files) as running:
        yield running


async def unload(worker: Worker) -> bool:
    with rpc_errors():
        request = worker_pb2.UnloadModelRequest(digest=model().digest)
        return (await worker.stub.Unload(request)).was_loaded


async def test_the_last_who_leaves_ends_it(worker: Worker, files: SlowFiles) -> None:
    router = worker.router()
    for number in (1, 2):
        router.start(number, model(), completion("abc", num_predict=3))
    await worker.until(lambda it: bool(it.models) and it.models[0].waiting == 2)
    router.cancel(1)
    await worker.until(lambda it: it.models[0].waiting == 1)
    assert files.ended < 1
    router.cancel(2)
    found = await worker.until(lambda it: not it.models)
    assert files.ended == 1
    assert found.memory_used == 0
    assert not worker.factory.started
    router.hang_up()


async def test_who_comes_while_it_ends_has_another(worker: Worker, files: SlowFiles) -> None:
    router = worker.router()
    router.start(1, model(), completion("abc", num_predict=3))
    await worker.until(lambda it: bool(it.models))
    router.cancel(1)
    router.start(2, model(), completion("abc", num_predict=3))
    files.gate.set()
    [answer] = await router.finish(2)
    assert answer.text == "abc"
    router.hang_up()


async def test_an_engine_that_starts_goes_on_for_the_next(worker: Worker, files: SlowFiles) -> None:
    files.gate.set()
    worker.factory.gate.clear()
    router = worker.router()
    router.start(1, model(), completion("abc", num_predict=3))
    await worker.until(lambda _: bool(worker.factory.started))
    router.cancel(1)
    await worker.until(lambda it: not it.models[0].waiting)
    worker.factory.gate.set()
    await worker.until(lambda it: bool(it.models) and it.models[0].state == READY)
    router.hang_up()


async def test_unloading_ends_a_start_that_nobody_waits_for(
    worker: Worker, files: SlowFiles
) -> None:
    files.gate.set()
    worker.factory.gate.clear()
    router = worker.router()
    router.start(1, model(), completion("abc", num_predict=3))
    await worker.until(lambda _: bool(worker.factory.started))
    router.cancel(1)
    await worker.until(lambda it: not it.models[0].waiting)
    assert await unload(worker)
    found = await worker.until(lambda it: not it.models)
    assert found.memory_used == 0
    assert not worker.factory.engines
    router.hang_up()


async def test_unloading_harms_nobody_who_waits(worker: Worker, files: SlowFiles) -> None:
    router = worker.router()
    router.start(1, model(), completion("abc", num_predict=3))
    await worker.until(lambda it: bool(it.models) and it.models[0].state == LOADING)
    assert await unload(worker)
    files.gate.set()
    [answer] = await router.finish()
    assert answer.text == "abc"
    await worker.until(lambda it: not it.models)
    router.hang_up()
