"""A sequence that a worker runs, as its router sees it."""

import asyncio
from collections.abc import Callable

from common.errors import PaddockError
from common.failures import from_failure
from protos.paddock.v1 import generation_pb2, sequences_pb2

Take = Callable[[sequences_pb2.SequenceUpdate], None]
"""Gets an update that has a delta and no end."""


class Sequence:
    """Hands on what comes at once, without a task in between, and keeps how it ended."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self.end: asyncio.Future[generation_pb2.Completed] = (
            asyncio.get_running_loop().create_future()
        )

    @property
    def ended(self) -> bool:
        """Whether the worker has done with it; its reader may have left before."""
        return self.end.done() and not self.end.cancelled()

    def deliver(self, update: sequences_pb2.SequenceUpdate) -> None:
        """Take one engine step's update."""
        how = update.WhichOneof("end")
        if how is None:
            self._take(update)
            return
        if update.HasField("delta"):
            self._take(sequences_pb2.SequenceUpdate(delta=update.delta))
        if self.end.done():
            return
        if how == "completed":
            self.end.set_result(update.completed)
        else:
            self.end.set_exception(from_failure(update.failure))

    def fail(self, error: PaddockError) -> None:
        """End the sequence with an error, unless it has ended."""
        if not self.end.done():
            self.end.set_exception(error)
