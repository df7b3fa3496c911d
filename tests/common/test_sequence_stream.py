"""In what order the caller of a Run call hands on what comes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from common.errors import PaddockError
from common.sequence_stream import SequenceStream
from protos.paddock.v1 import inference_pb2, sequences_pb2


class Call:
    """A call whose peer says one thing and no more."""

    def __init__(self, response: sequences_pb2.RunResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[sequences_pb2.RunResponse]:
        yield self._response

    async def write(self, commands: inference_pb2.GenerateCommands) -> None:
        pass

    def cancel(self) -> None:
        pass


class Noting:
    """Notes when it gets something, and when somebody who waited for that goes on."""

    def __init__(self, name: str, order: list[str]) -> None:
        self.ended = False
        self._name = name
        self._order = order
        self._end = asyncio.Event()

    def deliver_text(self, content: str, token: int) -> None:
        self._order.append(f"{self._name} {content} {token}")

    def deliver(self, update: sequences_pb2.SequenceUpdate) -> None:
        self.ended = True
        self._end.set()

    def fail(self, error: PaddockError) -> None:
        raise error

    async def wait(self) -> None:
        await self._end.wait()
        self._order.append(f"{self._name} has ended")


async def test_who_waits_for_an_end_goes_on_before_texts_are_delivered() -> None:
    order: list[str] = []
    stream = SequenceStream(inference_pb2.GenerateCommands)
    going_on, ending = Noting("one", order), Noting("other", order)
    response = sequences_pb2.RunResponse(sequences=[1], contents=["the"], tokens=[7])
    response.updates.add(sequence=2).completed.SetInParent()
    waiting = asyncio.create_task(ending.wait())
    with (
        stream.running(1, inference_pb2.GenerateRequest(), going_on),
        stream.running(2, inference_pb2.GenerateRequest(), ending),
    ):
        await asyncio.sleep(0)
        await stream.follow(cast(Any, Call(response)))
    await waiting
    assert order == ["other has ended", "one the 7"]
