"""A sequence that a worker runs, as its router sees it."""

import asyncio
from typing import Protocol

from common.errors import PaddockError
from common.failures import from_failure
from protos.paddock.v1 import generation_pb2, sequences_pb2


class Taker(Protocol):
    """Gets what comes of a sequence before its end."""

    def take_text(self, content: str, token: int) -> None:
        """Take a token and its content."""

    def take(self, delta: generation_pb2.Delta) -> None:
        """Take whatever else comes."""


class Sequence:
    """Hands on what comes at once, without a task in between, and keeps how it ended."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self.deliver_text = taker.take_text
        self.end: asyncio.Future[generation_pb2.Completed] = (
            asyncio.get_running_loop().create_future()
        )

    @property
    def ended(self) -> bool:
        """Whether the worker has done with it; its reader may have left before."""
        return self.end.done() and not self.end.cancelled()

    def deliver(self, update: sequences_pb2.SequenceUpdate) -> None:
        """Take one engine step's update."""
        if update.HasField("delta"):
            self._taker.take(update.delta)
        how = update.WhichOneof("end")
        if how is None or self.end.done():
            return
        if how == "completed":
            self.end.set_result(update.completed)
        else:
            self.end.set_exception(from_failure(update.failure))

    def fail(self, error: PaddockError) -> None:
        """End the sequence with an error, unless it has ended."""
        if not self.end.done():
            self.end.set_exception(error)
