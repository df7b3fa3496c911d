"""Models that get hot and cool down, over real connections to fake workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from protos.paddock.v1 import model_pb2, worker_pb2
from services.inference.fleet import Fleet
from services.inference.placement import LOADING, Wanted
from services.inference.replicas import Replicas
from services.inference.scaling import Scaling
from tests.services.inference.fakes import FakeWorker, resolved, unix_address

ONE = resolved("one").spec


class SlowWorker(FakeWorker):
    """Takes a moment to load, and shows it."""

    async def load(self, spec: model_pb2.ModelSpec) -> None:
        if spec.weights not in self.models and not self.refuse_to_load:
            self.models[spec.weights] = worker_pb2.WorkerModel(spec=spec, state=LOADING)
            await self.announce()
            await asyncio.sleep(0.1)
        await super().load(spec)


class Cluster:
    """Four workers, the first of which has the model."""

    def __init__(self, folder: Path) -> None:
        self.workers = [SlowWorker(name) for name in "abcd"]
        self.addresses = [unix_address(folder, worker.name) for worker in self.workers]
        self.waiting = 0

    async def start(self) -> None:
        for worker, address in zip(self.workers, self.addresses, strict=True):
            await worker.start(address)
        await self.workers[0].load(ONE)

    async def stop(self) -> None:
        for worker in self.workers:
            await worker.die()

    def holders(self) -> list[str]:
        return [worker.name for worker in self.workers if worker.models]

    def waits(self, wanted: Wanted) -> int:
        return self.waiting if wanted.weights == ONE.weights and not wanted.adapter else 0

    async def busy(self, running: int) -> None:
        """Let each replica have this many sequences; two run at once."""
        for worker in self.workers:
            for model in worker.models.values():
                model.running = running
            await worker.announce()

    async def router(self, stack: AsyncExitStack, scaling: Scaling, delay: float = 0.2) -> Fleet:
        fleet = Fleet(self.addresses)
        replicas = Replicas(fleet, self.waits, scaling, delay)
        for work in (fleet.follow(), replicas.follow()):
            task = asyncio.create_task(work)
            stack.push_async_callback(asyncio.wait, [task])
            stack.callback(task.cancel)
        async with asyncio.timeout(5):
            while len(fleet.candidates()) < len(self.workers):
                await fleet.change()
        return fleet

    async def until_held_by(self, number: int) -> None:
        async with asyncio.timeout(5):
            while len(self.holders()) != number:
                await asyncio.sleep(0.01)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_a_queue_brings_replicas_until_no_worker_is_idle(cluster: Cluster) -> None:
    async with AsyncExitStack() as stack:
        await cluster.router(stack, Scaling())
        await asyncio.sleep(0.4)
        assert cluster.holders() == ["a"]
        cluster.waiting = 3
        await cluster.until_held_by(4)


async def test_a_model_that_is_hot_for_a_moment_gets_no_replica(cluster: Cluster) -> None:
    async with AsyncExitStack() as stack:
        await cluster.router(stack, Scaling(), delay=1)
        for _ in range(3):
            cluster.waiting = 3
            await asyncio.sleep(0.4)
            cluster.waiting = 0
            await asyncio.sleep(0.15)
        assert cluster.holders() == ["a"]


async def test_load_brings_a_replica_and_no_more_than_it_needs(cluster: Cluster) -> None:
    async with AsyncExitStack() as stack:
        await cluster.router(stack, Scaling(load=0.5))
        await cluster.busy(2)
        await cluster.until_held_by(2)
        await asyncio.sleep(0.6)
        assert len(cluster.holders()) == 2


async def test_replicas_are_bounded(cluster: Cluster) -> None:
    async with AsyncExitStack() as stack:
        await cluster.router(stack, Scaling(most=2))
        cluster.waiting = 9
        await cluster.until_held_by(2)
        await asyncio.sleep(0.6)
        assert len(cluster.holders()) == 2


async def test_two_routers_start_the_same_replica(cluster: Cluster) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await cluster.router(stack, Scaling())
        cluster.waiting = 1
        await cluster.until_held_by(2)
        await asyncio.sleep(0.15)
        cluster.waiting = 0
        await asyncio.sleep(0.4)
        assert len(cluster.holders()) == 2


async def test_where_a_worker_refuses_another_one_is_asked(cluster: Cluster) -> None:
    for worker in cluster.workers[1:3]:
        worker.refuse_to_load = True
    async with AsyncExitStack() as stack:
        await cluster.router(stack, Scaling())
        cluster.waiting = 1
        await cluster.until_held_by(2)
        assert cluster.holders() == ["a", "d"]
