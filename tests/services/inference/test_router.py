"""The router over real gRPC connections to fake workers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.errors import (
    Busy,
    CapabilityMissing,
    LoadFailed,
    ModelNotFound,
    NoRoom,
    OutOfMemory,
)
from common.rpc import open_channel
from common.server import Server
from protos.paddock.v1 import generation_pb2, inference_pb2, registry_pb2_grpc
from services.inference.admission import Admission
from services.inference.capacity import Capacities
from services.inference.fleet import Fleet
from services.inference.resolver import Resolver
from services.inference.router import Router
from services.inference.running import running_models
from tests.services.inference.answers import events
from tests.services.inference.fakes import FakeRegistry, FakeWorker, resolved, unix_address


class Cluster:
    """Two workers, a registry and a router."""

    def __init__(self, folder: Path, max_queue: int = 100) -> None:
        self.folder = folder
        self.workers = [FakeWorker("a"), FakeWorker("b")]
        self.fleet = Fleet(unix_address(folder, worker.name) for worker in self.workers)
        self.admission = Admission(max_queue, Capacities(self.fleet).of)

    async def start(self) -> None:
        registry = Server()
        models = FakeRegistry(  # type: ignore[abstract]
            one=resolved("one"), two=resolved("two"), three=resolved("three"), huge=resolved("huge")
        )
        self.models = models.models
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(models, registry.grpc)
        self.registry = registry
        await registry.start(unix_address(self.folder, "registry"))
        for worker in self.workers:
            await worker.start(unix_address(self.folder, worker.name))
        self.channel = open_channel(unix_address(self.folder, "registry"))
        stub = registry_pb2_grpc.RegistryServiceStub(self.channel)
        self.router = Router(Resolver(stub), self.fleet, self.admission, load_timeout=5)
        self.following = [
            asyncio.create_task(self.fleet.follow()),
            asyncio.create_task(self.admission.follow(self.fleet.change)),
        ]
        while len(self.fleet.candidates()) < len(self.workers):
            await self.fleet.change()

    async def stop(self) -> None:
        for task in self.following:
            task.cancel()
        await asyncio.gather(*self.following, return_exceptions=True)
        await self.channel.close()
        for worker in self.workers:
            await worker.die()
        await self.registry.stop(0)

    async def ask(self, model: str, text: str) -> str:
        told = [event async for event in events(self.router, question(model, text))]
        assert isinstance(told[-1], generation_pb2.Completed)
        assert told[-1].usage.total_duration > 0
        return "".join(event.content for event in told if isinstance(event, generation_pb2.Delta))


def question(model: str, text: str) -> inference_pb2.GenerateRequest:
    message = generation_pb2.Message(role="user", content=text)
    generation = generation_pb2.Generation(chat=generation_pb2.Chat(messages=[message]))
    return inference_pb2.GenerateRequest(model=model, generation=generation)


async def settle(condition: object) -> None:
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_many_streams_come_back_whole_and_in_order(cluster: Cluster) -> None:
    texts = [" ".join(f"{number}.{word}" for word in range(20)) for number in range(50)]
    answers = await asyncio.gather(*(cluster.ask("one", text) for text in texts))
    assert answers == [f"{text} " for text in texts]


async def test_two_models_go_to_two_workers(cluster: Cluster) -> None:
    await cluster.ask("one", "x")
    await cluster.ask("two", "x")
    assert [len(worker.models) for worker in cluster.workers] == [1, 1]
    names = {entry.name for entry in running_models(cluster.fleet.candidates())}
    assert names == {"one:latest", "two:latest"}


async def test_leaving_a_stream_cancels_it_on_the_worker(cluster: Cluster) -> None:
    told = events(cluster.router, question("one", "word " * 10_000))
    await anext(told)
    await told.aclose()
    await settle(lambda: any(worker.canceled for worker in cluster.workers))
    assert not any(worker.running for worker in cluster.workers)


async def test_a_worker_that_dies_before_the_first_token_costs_nothing(cluster: Cluster) -> None:
    await cluster.ask("one", "x")
    holder = next(worker for worker in cluster.workers if worker.models)
    holder.step = 60
    answer = asyncio.create_task(cluster.ask("one", "still here"))
    await settle(lambda: holder.running)
    await holder.die()
    assert await answer == "still here "


async def test_a_request_waits_for_a_worker_to_come_back(cluster: Cluster) -> None:
    for worker in cluster.workers:
        await worker.die()
    await settle(lambda: not cluster.fleet.candidates())
    answer = asyncio.create_task(cluster.ask("one", "patience"))
    await asyncio.sleep(0.1)
    await cluster.workers[0].start(unix_address(cluster.folder, "a"))
    assert await answer == "patience "


async def test_no_room_anywhere_is_an_error_unless_room_may_come(cluster: Cluster) -> None:
    await cluster.ask("one", "x")
    await cluster.ask("two", "x")
    with pytest.raises(NoRoom, match="is full"):
        await cluster.ask("three", "x")
    holder = next(worker for worker in cluster.workers if "one" in worker.models)
    holder.models["one"].running = 1
    await holder.announce()
    await settle(lambda: any(entry.running for entry in running_models(cluster.fleet.candidates())))
    answer = asyncio.create_task(cluster.ask("three", "at last"))
    await asyncio.sleep(0.1)
    await cluster.router.unload(inference_pb2.UnloadRequest(model="one"))
    assert await answer == "at last "


async def test_a_model_that_is_too_large_does_not_wait_for_room(cluster: Cluster) -> None:
    await cluster.ask("one", "x")
    for worker in cluster.workers:
        worker.room = 2
        for model in worker.models.values():
            model.running = 1
        await worker.announce()
    with pytest.raises(OutOfMemory, match="too large"):
        await asyncio.wait_for(cluster.ask("huge", "x"), 2)


async def test_a_model_that_no_engine_starts_is_tried_once(cluster: Cluster) -> None:
    for worker in cluster.workers:
        worker.refuse_to_load = True
    with pytest.raises(LoadFailed, match="no such architecture"):
        await cluster.ask("one", "x")
    assert sum(len(worker.started) for worker in cluster.workers) == 1


async def test_load_and_unload(cluster: Cluster) -> None:
    assert await cluster.router.load(inference_pb2.LoadRequest(model="one")) > 0
    await settle(lambda: running_models(cluster.fleet.candidates()))
    await cluster.router.unload(inference_pb2.UnloadRequest(model="one"))
    await settle(lambda: not running_models(cluster.fleet.candidates()))


async def test_unload_frees_what_had_the_name_before(cluster: Cluster) -> None:
    await cluster.router.load(inference_pb2.LoadRequest(model="one"))
    await settle(lambda: running_models(cluster.fleet.candidates()))
    cluster.models["one"].spec.digest = "another"
    await cluster.router.unload(inference_pb2.UnloadRequest(model="one"))
    await settle(lambda: not running_models(cluster.fleet.candidates()))


async def test_errors_before_any_worker_is_asked(cluster: Cluster) -> None:
    with pytest.raises(ModelNotFound, match="model 'none' not found"):
        await cluster.ask("none", "x")
    with pytest.raises(CapabilityMissing, match='"one" does not support embeddings'):
        await cluster.router.embed(inference_pb2.EmbedRequest(model="one", inputs=["x"]))
    assert not any(worker.started for worker in cluster.workers)


async def test_a_model_s_own_options_hold_for_embedding(cluster: Cluster) -> None:
    model = cluster.models["one"]
    model.spec.capabilities.append("embedding")
    model.parameters.num_ctx = 32
    for options in (None, generation_pb2.Options(num_ctx=16)):
        asked = inference_pb2.EmbedRequest(model="one", inputs=["x"], options=options)
        await cluster.router.embed(asked)
    embedded = [request for worker in cluster.workers for request in worker.embedded]
    assert [request.options.num_ctx for request in embedded] == [32, 16]


async def test_what_a_model_cannot_do_is_refused_before_any_worker_is_asked(
    cluster: Cluster,
) -> None:
    thoughtful = question("one", "x")
    thoughtful.generation.think = generation_pb2.THINK_ON
    text = '"one" does not support thinking'
    with pytest.raises(CapabilityMissing, match=text):
        await anext(events(cluster.router, thoughtful))
    with pytest.raises(CapabilityMissing, match=text):
        await cluster.router.render(thoughtful)
    load = inference_pb2.LoadRequest(model="one", generation=thoughtful.generation)
    with pytest.raises(CapabilityMissing, match=text):
        await cluster.router.load(load)
    assert not any(worker.started or worker.models for worker in cluster.workers)


async def test_a_prompt_is_rendered_as_it_would_be_answered(cluster: Cluster) -> None:
    cluster.models["one"].system = "Be brief."
    cluster.models["one"].spec.capabilities.append("thinking")
    asked = question("one", "x")
    asked.generation.options.seed = 7
    await cluster.router.render(asked)
    assert [event async for event in events(cluster.router, asked)]
    (rendered,) = [asked for worker in cluster.workers for asked in worker.rendered]
    (started,) = [asked for worker in cluster.workers for asked in worker.started]
    assert rendered.generation == started.generation
    assert rendered.generation.think == generation_pb2.THINK_ON
    assert rendered.generation.chat.messages[0].content == "Be brief."


@pytest.mark.parametrize("keep_alive", [None, 0, -1, 5])
async def test_keep_alive_reaches_the_worker(cluster: Cluster, keep_alive: int | None) -> None:
    asked = question("one", "x")
    if keep_alive is not None:
        asked.keep_alive = keep_alive
    assert [event async for event in events(cluster.router, asked)]
    (start,) = [start for worker in cluster.workers for start in worker.started]
    assert (start.keep_alive if start.HasField("keep_alive") else None) == keep_alive


async def test_a_full_queue_refuses(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, max_queue=1)
    await cluster.start()
    try:
        await cluster.ask("one", "x")  # two sequences run at once, one may wait
        streams = [events(cluster.router, question("one", "word " * 10_000)) for _ in range(2)]
        await asyncio.gather(*(anext(stream) for stream in streams))
        waiting = asyncio.create_task(cluster.ask("one", "turn"))
        await settle(lambda: cluster.admission.waiting("one"))
        with pytest.raises(Busy, match="maximum pending requests exceeded") as refused:
            await cluster.ask("one", "x")
        assert refused.value.retry_after is not None
        assert refused.value.retry_after >= 1
        assert not waiting.done()
        await streams[0].aclose()
        assert await waiting == "turn "
        assert await cluster.ask("one", "x") == "x "
        await streams[1].aclose()
    finally:
        await cluster.stop()
