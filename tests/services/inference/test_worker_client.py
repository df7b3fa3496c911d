"""A worker that comes, goes, and falls silent, as its client sees it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from common.errors import Interrupted, WorkerLost
from protos.paddock.v1 import generation_pb2, inference_pb2, worker_pb2
from services.inference.worker_client import WorkerClient
from tests.common.test_named_channel import name_server
from tests.services.inference.fakes import FakeWorker, unix_address
from tests.services.inference.test_fleet import free_port
from tests.services.inference.test_router import settle

SILENCE = 0.2


class Frozen(FakeWorker):
    """Begins whatever it is asked for, and does not get further."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked = 0
        self.draining = False

    async def Watch(
        self, request: worker_pb2.WatchRequest, context: Any
    ) -> AsyncIterator[worker_pb2.WorkerStatus]:
        async for status in super().Watch(request, context):
            status.draining = self.draining
            yield status

    async def freeze(self) -> None:
        self.asked += 1
        await asyncio.Event().wait()

    async def Load(
        self, request: worker_pb2.LoadModelRequest, context: Any
    ) -> AsyncIterator[worker_pb2.LoadProgress]:
        yield worker_pb2.LoadProgress(phase="fetching")
        await self.freeze()

    async def Render(
        self, request: worker_pb2.RenderSequenceRequest, context: Any
    ) -> generation_pb2.RenderedPrompt:
        await self.freeze()
        return generation_pb2.RenderedPrompt()

    async def Embed(
        self, request: worker_pb2.EmbedSequencesRequest, context: Any
    ) -> inference_pb2.EmbedResponse:
        await self.freeze()
        return inference_pb2.EmbedResponse()

    async def Unload(
        self, request: worker_pb2.UnloadModelRequest, context: Any
    ) -> worker_pb2.UnloadModelResponse:
        await self.freeze()
        return worker_pb2.UnloadModelResponse()


@asynccontextmanager
async def watched(
    folder: Path, worker: FakeWorker, silence: float = 30.0
) -> AsyncIterator[WorkerClient]:
    """Start a worker, and watch it from the first status on."""
    changed = asyncio.Event()
    address = unix_address(folder, worker.name)
    await worker.start(address)
    client = WorkerClient(address, changed.set, silence=silence)
    following = asyncio.create_task(client.follow())
    try:
        await asyncio.wait_for(changed.wait(), 5)
        yield client
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await client.aclose()
        await worker.die()


Call = Callable[[WorkerClient], Awaitable[object]]
CALLS: list[Call] = [
    lambda client: client.load(worker_pb2.LoadModelRequest()),
    lambda client: client.render(worker_pb2.RenderSequenceRequest()),
    lambda client: client.embed(worker_pb2.EmbedSequencesRequest()),
]
CALL_NAMES = ["load", "render", "embed"]


async def begin(call: Call, client: WorkerClient, worker: Frozen) -> "asyncio.Task[object]":
    """Call, and wait until the worker knows."""
    calling = asyncio.ensure_future(call(client))
    await settle(lambda: worker.asked or calling.done())
    return calling


async def test_a_worker_that_says_nothing_any_more_is_given_up(tmp_path: Path) -> None:
    async with watched(tmp_path, FakeWorker("frozen"), SILENCE) as client:
        for expected_to_live in (True, False, True):
            await settle(lambda: (client.status is not None) is expected_to_live)  # noqa: B023


async def test_a_worker_whose_name_appears_late_is_found_soon(tmp_path: Path) -> None:
    worker, changed = FakeWorker("late", room=1), asyncio.Event()
    port = free_port("127.0.0.1")
    async with name_server() as (names, target):
        client = WorkerClient(f"{target}/late.test:{port}", changed.set, call_again=0.2)
        following = asyncio.create_task(client.follow())
        # By itself gRPC would ask for the sixth time after a quarter of a minute.
        async with asyncio.timeout(10):
            while names.queries < 6:
                await asyncio.sleep(0.01)
        await worker.start(f"127.0.0.1:{port}")
        names.addresses = ["127.0.0.1"]
        await asyncio.wait_for(changed.wait(), 5)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await client.aclose()
        await worker.die()


async def test_who_is_not_to_watch_it_any_more_ends_while_it_dies(tmp_path: Path) -> None:
    worker = FakeWorker("dying")
    address = unix_address(tmp_path, worker.name)
    for turns in range(12):
        await worker.start(address)
        changed = asyncio.Event()
        client = WorkerClient(address, changed.set)
        following = asyncio.create_task(client.follow())
        await asyncio.wait_for(changed.wait(), 5)
        await worker.die()
        for _ in range(turns):
            await asyncio.sleep(0)
        following.cancel()
        done, _ = await asyncio.wait({following}, timeout=2)
        assert done
        await client.aclose()


@pytest.mark.parametrize("call", CALLS, ids=CALL_NAMES)
async def test_what_it_was_asked_for_is_given_up_with_it(tmp_path: Path, call: Call) -> None:
    worker = Frozen("frozen")
    async with watched(tmp_path, worker, SILENCE) as client:
        calling = await begin(call, client, worker)
        with pytest.raises(WorkerLost):
            await asyncio.wait_for(calling, 5)
        assert not client.in_flight


@pytest.mark.parametrize("call", CALLS, ids=CALL_NAMES)
async def test_a_worker_that_dies_under_a_call_is_lost(tmp_path: Path, call: Call) -> None:
    worker = Frozen("dying")
    async with watched(tmp_path, worker) as client:
        calling = await begin(call, client, worker)
        await worker.die()
        with pytest.raises(WorkerLost):
            await asyncio.wait_for(calling, 5)


async def test_a_worker_that_is_lost_holds_no_model(tmp_path: Path) -> None:
    worker = Frozen("frozen")
    async with watched(tmp_path, worker, SILENCE) as client:
        unloading = await begin(lambda client: client.unload("digest"), client, worker)
        assert not unloading.done()
        await asyncio.wait_for(unloading, 5)


async def test_one_that_leaves_under_a_call_is_not(tmp_path: Path) -> None:
    worker = Frozen("leaving")
    worker.draining = True
    async with watched(tmp_path, worker) as client:
        calling = await begin(CALLS[2], client, worker)
        await worker.die()
        with pytest.raises(Interrupted):
            await asyncio.wait_for(calling, 5)


async def test_a_call_does_not_outlast_the_connection(tmp_path: Path) -> None:
    worker = Frozen("forgotten")
    async with watched(tmp_path, worker) as client:
        calling = await begin(CALLS[2], client, worker)
        await client.aclose()
        with pytest.raises((WorkerLost, Interrupted)):
            await asyncio.wait_for(calling, 5)


async def test_a_caller_that_is_canceled_cancels_the_call(tmp_path: Path) -> None:
    worker = Frozen("frozen")
    async with watched(tmp_path, worker) as client:
        calling = await begin(CALLS[2], client, worker)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert not client.in_flight
