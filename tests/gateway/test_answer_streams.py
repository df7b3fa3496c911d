"""How the answers of many requests share streams."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.errors import Interrupted, TimedOut, TooLarge
from common.rpc import MAX_MESSAGE, open_channel
from common.server import Server
from gateway.answer_streams import AnswerStreams
from protos.paddock.v1 import (
    generation_pb2,
    inference_pb2,
    inference_pb2_grpc,
    sequences_pb2,
)
from tests.gateway.fakes import Context, FakeInference


class Counting(FakeInference):
    """Counts the streams that are open, and those that ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.open = 0
        self.opened = 0

    async def Run(
        self, request_iterator: AsyncIterator[inference_pb2.GenerateCommands], context: Context
    ) -> AsyncIterator[sequences_pb2.RunResponse]:
        self.open += 1
        self.opened += 1
        try:
            async for response in super().Run(request_iterator, context):
                yield response
        finally:
            self.open -= 1


class World:
    def __init__(self, address: str) -> None:
        self.address = address
        self.inference = Counting()
        self.server = Server()
        inference_pb2_grpc.add_InferenceServiceServicer_to_server(self.inference, self.server.grpc)
        self.channel = open_channel(address)
        self.stub = inference_pb2_grpc.InferenceServiceStub(self.channel)
        self.streams = AnswerStreams(self.stub)

    async def ask(self, text: str, timeout: float | None = None) -> str:
        generation = generation_pb2.Generation(completion=generation_pb2.Completion(prompt=text))
        request = inference_pb2.GenerateRequest(model="tiny", generation=generation)
        said = ""
        async for event in self.streams.answer(request, timeout, TimedOut("too long")):
            if isinstance(event, generation_pb2.Delta):
                said += event.content
        return said


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(f"unix:{tmp_path}/inference")
    await made.server.start(made.address)
    yield made
    await made.streams.close()
    await made.channel.close()
    await made.server.stop(0)


async def until(world: World, *, open_streams: int) -> None:
    async with asyncio.timeout(5):
        while world.inference.open != open_streams:
            await asyncio.sleep(0.01)


async def test_answers_one_after_another_share_a_stream(world: World) -> None:
    assert [await world.ask(f"a{number}") for number in range(5)] == [
        f"a{number} " for number in range(5)
    ]
    assert world.inference.opened == 1


async def test_many_at_once_get_more_streams_and_their_own_answers(world: World) -> None:
    texts = [f"{number}.1 {number}.2 " for number in range(200)]
    assert await asyncio.gather(*(world.ask(text) for text in texts)) == texts
    assert 3 <= world.inference.opened <= 16


async def test_an_old_stream_ends_with_its_last_answer(world: World) -> None:
    world.streams = AnswerStreams(world.stub, lifetime=0.2)
    world.inference.hold.clear()
    first = asyncio.create_task(world.ask("first"))
    await asyncio.sleep(0.4)
    second = asyncio.create_task(world.ask("second"))
    await until(world, open_streams=2)
    world.inference.hold.set()
    assert (await first, await second) == ("first ", "second ")
    await until(world, open_streams=0)
    assert await world.ask("third") == "third "
    await world.streams.close()


async def test_a_process_that_is_gone_interrupts_its_answers_alone(world: World) -> None:
    world.inference.hold.clear()
    asking = asyncio.create_task(world.ask("x"))
    await until(world, open_streams=1)
    await world.server.stop(0)
    with pytest.raises(Interrupted):
        await asking
    with pytest.raises(Interrupted):
        await world.ask("nobody is there")
    again = World(world.address)
    await again.server.start(world.address)
    async with asyncio.timeout(5):
        await world.channel.channel_ready()
    assert await world.ask("y") == "y "
    await again.channel.close()
    await again.server.stop(0)


async def test_a_late_answer_is_cancelled(world: World) -> None:
    world.inference.hold.clear()
    with pytest.raises(TimedOut, match="too long"):
        await world.ask("x", timeout=0.1)
    await asyncio.wait_for(world.inference.canceled.wait(), 5)
    world.inference.hold.set()
    assert await world.ask("y") == "y "


async def test_a_request_that_no_message_holds_disturbs_nobody(world: World) -> None:
    world.inference.hold.clear()
    other = asyncio.create_task(world.ask("x"))
    await until(world, open_streams=1)
    with pytest.raises(TooLarge):
        await world.ask("x" * MAX_MESSAGE)
    world.inference.hold.set()
    assert await other == "x "
