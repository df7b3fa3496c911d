"""The caller's side of a Run call, which carries many sequences."""

import asyncio
from asyncio import TaskGroup
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Generic, Protocol

from google.protobuf.message import Message

from common.commands import C, Commands
from common.errors import PaddockError
from protos.paddock.v1 import sequences_pb2

if TYPE_CHECKING:
    import grpc


class Receiver(Protocol):
    """Who gets what comes for one sequence."""

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""

    def deliver_text(self, content: str, token: int) -> None:
        """Take a token and its content."""

    def deliver(self, update: sequences_pb2.SequenceUpdate) -> None:
        """Take whatever else is new, which may be how the sequence ended."""

    def fail(self, error: PaddockError) -> None:
        """End with an error, unless it has ended."""


class SequenceStream(Generic[C]):
    """The sequences of one call, or of several one after another."""

    def __init__(self, kind: type[C]) -> None:
        self._commands = Commands(kind)
        self._numbers = count(1)
        self._receivers: dict[int, Receiver] = {}

    def __len__(self) -> int:
        return len(self._receivers)

    def number(self) -> int:
        """Give a number that no other sequence has."""
        return next(self._numbers)

    @contextmanager
    def running(self, number: int, start: Message, receiver: Receiver) -> Iterator[None]:
        """Run a sequence; leaving the block before its end cancels it."""
        self._receivers[number] = receiver
        self._commands.start(number, start)
        try:
            yield
        finally:
            del self._receivers[number]
            if not receiver.ended:
                self._commands.cancel(number)

    async def follow(self, call: "grpc.aio.StreamStreamCall[C, sequences_pb2.RunResponse]") -> None:
        """Send commands and deliver what comes, until the peer ends the call.

        Ends go first, and their receivers go on with them, before mere texts.

        Raises:
            grpc.aio.AioRpcError: it failed; others, such as InvalidStateError, mean that it has
                ended just when something was sent.
        """
        try:
            async with TaskGroup() as group:
                sending = group.create_task(self._send(call))
                async for response in call:
                    if response.updates:
                        self._deliver_updates(response)
                        await asyncio.sleep(0)
                    self._deliver_texts(response)
                sending.cancel()
        finally:
            call.cancel()

    def fail(self, error: PaddockError) -> None:
        """End all sequences with an error: the peer is lost."""
        self._commands.clear()
        for receiver in list(self._receivers.values()):
            receiver.fail(error)

    def close(self) -> None:
        """Let the peer know, once it has been told everything, that nothing more is asked for."""
        self._commands.close()

    def _deliver_updates(self, response: sequences_pb2.RunResponse) -> None:
        for update in response.updates:
            if receiver := self._receivers.get(update.sequence):
                receiver.deliver(update)

    def _deliver_texts(self, response: sequences_pb2.RunResponse) -> None:
        receivers = self._receivers
        texts = zip(response.sequences, response.contents, response.tokens, strict=True)
        for sequence, content, token in texts:
            if receiver := receivers.get(sequence):
                receiver.deliver_text(content, token)

    async def _send(self, call: "grpc.aio.StreamStreamCall[C, sequences_pb2.RunResponse]") -> None:
        while (commands := await self._commands.take()) is not None:
            await call.write(commands)
        await call.done_writing()
