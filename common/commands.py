"""What the other end of a Run call is yet to be told about its sequences."""

import asyncio
from typing import Generic, Protocol, TypeVar

from protos.paddock.v1 import sequences_pb2


class Command(Protocol):
    """What a Run call takes: the start of a sequence, or its cancellation."""

    def __init__(self, *, cancel: sequences_pb2.CancelSequence) -> None: ...


C = TypeVar("C", bound=Command)


class Commands(Generic[C]):
    """Keeps commands until they are taken, in order.

    The cancellation of a sequence whose start was not taken yet takes back the start instead:
    what waits for a peer that reads nothing, images and all, is never more than what
    callers still wait for.
    """

    def __init__(self, kind: type[C]) -> None:
        self._kind = kind
        self._pending: dict[int, C] = {}
        self._closed = False
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pending)

    def start(self, sequence: int, command: C) -> None:
        """Start a sequence."""
        self._pending[sequence] = command
        self._wake.set()

    def cancel(self, sequence: int) -> None:
        """Cancel a sequence, or take back its start."""
        if self._pending.pop(sequence, None) is None:
            cancel = sequences_pb2.CancelSequence(sequence=sequence)
            self._pending[sequence] = self._kind(cancel=cancel)
            self._wake.set()

    def clear(self) -> None:
        """Forget them all."""
        self._pending.clear()

    def close(self) -> None:
        """Let `take` end once everything was taken."""
        self._closed = True
        self._wake.set()

    async def take(self) -> C | None:
        """Wait for the next command; None once closed."""
        while not self._pending and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        if not self._pending:
            return None
        return self._pending.pop(next(iter(self._pending)))
