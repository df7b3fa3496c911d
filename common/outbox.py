"""What the sequences of one Run call have produced and its caller has not read yet."""

import asyncio

from common.deltas import append_delta
from protos.paddock.v1 import sequences_pb2


class Outbox:
    """Joins updates until they are taken.

    A reader that is slower than the engine gets fewer, larger messages: per sequence
    there is never more than one update, so what is kept is bounded by the texts
    themselves, and no sequence waits for the reader.
    """

    def __init__(self) -> None:
        self._pending: dict[int, sequences_pb2.SequenceUpdate] = {}
        self._closed = False
        self._wake = asyncio.Event()

    def put(self, update: sequences_pb2.SequenceUpdate) -> None:
        """Add an update, joined with what is pending for its sequence."""
        pending = self._pending.setdefault(update.sequence, update)
        if pending is not update:
            _join(pending, update)
        self._wake.set()

    def discard(self, sequence: int) -> None:
        """Forget what is pending for a sequence nobody waits for any more."""
        self._pending.pop(sequence, None)

    def close(self) -> None:
        """Let `take` end once everything was taken."""
        self._closed = True
        self._wake.set()

    async def take(self) -> list[sequences_pb2.SequenceUpdate]:
        """Wait for updates and give all that are pending; none once closed."""
        while not self._pending and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        taken = list(self._pending.values())
        self._pending.clear()
        return taken


def _join(pending: sequences_pb2.SequenceUpdate, later: sequences_pb2.SequenceUpdate) -> None:
    if later.HasField("delta"):
        append_delta(pending.delta, later.delta)
    if later.HasField("completed"):
        pending.completed.CopyFrom(later.completed)
    elif later.HasField("failure"):
        pending.failure.CopyFrom(later.failure)
