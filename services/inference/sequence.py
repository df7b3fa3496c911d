"""A sequence in flight, as its router sees it: a mailbox that a slow reader cannot overflow."""

import asyncio
import math
import time
from collections.abc import Callable

from common.deltas import append_delta
from common.errors import PaddockError, error_for
from protos.paddock.v1 import generation_pb2, worker_pb2

Event = generation_pb2.Delta | generation_pb2.Completed


class Sequence:
    """Receives a worker's updates and hands them on in order.

    Deltas that pile up are joined, so what is kept is never more than the sequence's own
    text, tokens and log probabilities, which its window bounds.

    Args:
        on_end: called once the worker has done with it, however slowly its reader follows;
            with how it ended, or None where it failed.
    """

    def __init__(
        self, number: int, on_end: Callable[[generation_pb2.Completed | None], None]
    ) -> None:
        self.number = number
        self.ended = False
        self.ended_at = math.inf
        """Seconds, monotonic."""
        self._on_end = on_end
        self._delta: generation_pb2.Delta | None = None
        self._completed: generation_pb2.Completed | None = None
        self._error: PaddockError | None = None
        self._arrived = asyncio.Event()

    def deliver(self, update: worker_pb2.SequenceUpdate) -> None:
        """Take one engine step's update."""
        if update.HasField("delta"):
            if self._delta is None:
                self._delta = update.delta
            else:
                append_delta(self._delta, update.delta)
        if update.HasField("completed"):
            self._completed = update.completed
            self._end()
        elif update.HasField("failure"):
            self.fail(error_for(update.failure.reason, update.failure.message))
        self._arrived.set()

    def fail(self, error: PaddockError) -> None:
        """End the sequence with an error, unless it has ended."""
        if self.ended:
            return
        self._error = error
        self._end()
        self._arrived.set()

    async def receive(self) -> Event:
        """Wait for what comes next: text, or the successful end.

        Raises:
            PaddockError: the sequence failed. Text that came before is given out first.
        """
        while True:
            if self._delta is not None:
                delta, self._delta = self._delta, None
                return delta
            if self._completed is not None:
                return self._completed
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()

    def _end(self) -> None:
        self.ended = True
        self.ended_at = time.monotonic()
        self._on_end(self._completed)
