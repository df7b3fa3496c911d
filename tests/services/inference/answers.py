"""Answers as their readers see them: of a router itself, and of a whole service."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from common.errors import PaddockError, TimedOut
from common.mailbox import Event, Mailbox
from gateway.answer_streams import AnswerStreams
from protos.paddock.v1 import generation_pb2, inference_pb2, inference_pb2_grpc, sequences_pb2
from services.inference.router import Router


class _Opened(Mailbox):
    """A mailbox for what a router gives out, which has no number yet."""

    def take_text(self, content: str, token: int) -> None:
        self.deliver_text(content, token)

    def take(self, delta: generation_pb2.Delta) -> None:
        self.deliver(sequences_pb2.SequenceUpdate(delta=delta))


async def events(
    router: Router, request: inference_pb2.GenerateRequest
) -> AsyncGenerator[Event, None]:
    """Stream an answer of a router in this process; leaving it cancels the answer."""
    mailbox = _Opened()

    async def answer() -> None:
        try:
            completed = await router.generate(request, mailbox)
        except PaddockError as error:
            mailbox.fail(error)
        else:
            mailbox.deliver(sequences_pb2.SequenceUpdate(completed=completed))

    answering = asyncio.create_task(answer())
    try:
        while True:
            event = await mailbox.receive()
            yield event
            if isinstance(event, generation_pb2.Completed):
                return
    finally:
        answering.cancel()
        await asyncio.wait({answering})


async def answers(
    stub: inference_pb2_grpc.InferenceServiceStub,
    request: inference_pb2.GenerateRequest,
    timeout: float | None = None,
) -> AsyncGenerator[Event, None]:
    """Stream an answer of a service, as a gateway of its own would."""
    streams = AnswerStreams(stub)
    try:
        async with aclosing(streams.answer(request, timeout, TimedOut("late"))) as given:
            async for event in given:
                yield event
    finally:
        await streams.close()
