"""What the sequences of one Run call have produced and its caller has not read yet."""

import asyncio

from common.deltas import append_delta
from protos.paddock.v1 import sequences_pb2


class Outbox:
    """Joins updates until they are taken, in the message that they are sent in.

    A reader that is slower than the engine gets fewer, larger messages: per sequence
    there is never more than one update, so what is kept is bounded by the texts
    themselves, and no sequence waits for the reader.
    """

    def __init__(self) -> None:
        self._message = sequences_pb2.RunResponse()
        self._pending: dict[int, sequences_pb2.SequenceUpdate] = {}
        self._closed = False
        self._wake = asyncio.Event()

    def update(self, sequence: int) -> sequences_pb2.SequenceUpdate:
        """Give what is pending for a sequence, for more to be added at once."""
        update = self._pending.get(sequence)
        if update is None:
            update = self._pending[sequence] = self._message.updates.add(sequence=sequence)
            self._wake.set()
        return update

    def put(self, update: sequences_pb2.SequenceUpdate) -> None:
        """Add to what is pending for a sequence."""
        pending = self._pending.get(update.sequence)
        if pending is None:
            self.update(update.sequence).MergeFrom(update)
            return
        if update.HasField("delta"):
            append_delta(pending.delta, update.delta)
        match update.WhichOneof("end"):
            case "completed":
                pending.completed.CopyFrom(update.completed)
            case "failure":
                pending.failure.CopyFrom(update.failure)

    def discard(self, sequence: int) -> None:
        """Forget what is pending for a sequence nobody waits for any more."""
        if update := self._pending.pop(sequence, None):
            self._message.updates.remove(update)

    def close(self) -> None:
        """Let `take` end once everything was taken."""
        self._closed = True
        self._wake.set()

    async def take(self) -> sequences_pb2.RunResponse | None:
        """Wait for updates and give all that are pending; None once closed."""
        while not self._pending and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        taken = self._message if self._pending else None
        self._message, self._pending = sequences_pb2.RunResponse(), {}
        return taken
