"""What has come of an answer and was not read yet: a mailbox that a slow reader cannot overflow."""

import asyncio
from typing import Protocol

from common.deltas import join_deltas
from common.errors import PaddockError
from common.failures import from_failure
from protos.paddock.v1 import generation_pb2, sequences_pb2

_MOST_PIECES = 64  # that wait unjoined

Event = generation_pb2.Delta | generation_pb2.Completed


class Shortcut(Protocol):
    """Does at once, where it can, what a reader would do a moment later; this must not fail."""

    def take_text(self, content: str, token: int) -> bool:
        """Take a token and its content; False: it cannot, and has done nothing."""

    def take(self, delta: generation_pb2.Delta) -> bool:
        """Take a delta; False: it cannot, and has done nothing."""


class Mailbox:
    """Receives a sequence's updates and hands them on in order.

    Deltas that pile up are joined, so what is kept is never more than the sequence's own
    text, tokens and log probabilities, which its window bounds.

    Args:
        shortcut: is offered what comes while the reader has nothing else to read.
    """

    def __init__(self, shortcut: Shortcut | None = None) -> None:
        self._shortcut = shortcut
        self._reader_waits = False
        self.ended = False
        self._deltas: list[generation_pb2.Delta] = []
        self._completed: generation_pb2.Completed | None = None
        self._error: PaddockError | None = None
        self._arrived = asyncio.Event()

    def deliver_text(self, content: str, token: int) -> None:
        """Take a token and its content."""
        if self._shortcut and self._reader_waits and self._shortcut.take_text(content, token):
            return
        self._keep(generation_pb2.Delta(content=content, tokens=[token]))
        self._wake()

    def deliver(self, update: sequences_pb2.SequenceUpdate) -> None:
        """Take whatever else is new."""
        if update.HasField("delta"):
            delta = update.delta
            if self._shortcut and self._reader_waits and self._shortcut.take(delta):
                if update.WhichOneof("end") is None:
                    return
            else:
                self._keep(delta)
        if update.HasField("completed"):
            self._completed = update.completed
            self.ended = True
        elif update.HasField("failure"):
            self.fail(from_failure(update.failure))
        self._wake()

    def fail(self, error: PaddockError) -> None:
        """End the sequence with an error, unless it has ended."""
        if not self.ended:
            self._error = error
            self.ended = True
            self._wake()

    def give_up(self, error: PaddockError) -> None:
        """Let the reader fail with an error; the sequence itself has not ended."""
        if not self.ended:
            self._error = error
            self._wake()

    async def receive(self) -> Event:
        """Wait for what comes next: text, or the successful end.

        Raises:
            PaddockError: the sequence failed. Text that came before is given out first.
        """
        while True:
            if self._deltas:
                deltas, self._deltas = self._deltas, []
                return join_deltas(deltas)
            if self._completed is not None:
                return self._completed
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            self._reader_waits = True
            try:
                await self._arrived.wait()
            finally:
                self._reader_waits = False

    def _keep(self, delta: generation_pb2.Delta) -> None:
        self._deltas.append(delta)
        if len(self._deltas) > _MOST_PIECES:
            self._deltas = [join_deltas(self._deltas)]

    def _wake(self) -> None:
        self._reader_waits = False
        self._arrived.set()
