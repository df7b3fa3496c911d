"""What a worker is yet to be told about its sequences."""

import asyncio

from protos.paddock.v1 import worker_pb2


class Commands:
    """Keeps commands until they are taken, in order.

    The cancellation of a sequence whose start was not taken yet takes back the start instead:
    what waits for a worker that reads nothing, images and all, is never more than what
    callers still wait for.
    """

    def __init__(self) -> None:
        self._pending: dict[int, worker_pb2.RunRequest] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pending)

    def start(self, start: worker_pb2.StartSequence) -> None:
        """Start a sequence."""
        self._pending[start.sequence] = worker_pb2.RunRequest(start=start)
        self._wake.set()

    def cancel(self, sequence: int) -> None:
        """Cancel a sequence, or take back its start."""
        if self._pending.pop(sequence, None) is None:
            cancel = worker_pb2.CancelSequence(sequence=sequence)
            self._pending[sequence] = worker_pb2.RunRequest(cancel=cancel)
            self._wake.set()

    def clear(self) -> None:
        """Forget them all."""
        self._pending.clear()

    async def take(self) -> worker_pb2.RunRequest:
        """Wait for the next command."""
        while not self._pending:
            self._wake.clear()
            await self._wake.wait()
        return self._pending.pop(next(iter(self._pending)))
