"""The attempts of one request to find a worker that can serve it."""

import asyncio

from common.errors import NoRoom, OutOfMemory, PaddockError, Unavailable, WorkerLost
from services.inference.fleet import Fleet
from services.inference.placement import may_find_room
from services.inference.worker_client import WorkerClient

# A model that brings down every worker it is started on must not go round for ever.
_MAX_LOSSES = 3


class Attempts:
    """Names one worker after another, until one serves the request or hope is lost.

    Workers that refused are left out until something changes in the fleet; all
    waiting ends at the deadline.
    """

    def __init__(self, fleet: Fleet, weights: str, timeout: float) -> None:
        self._fleet = fleet
        self._weights = weights
        self._deadline = asyncio.get_running_loop().time() + timeout
        self._refusals: dict[str, PaddockError] = {}  # by worker, since the last change
        self._losses = 0
        self._error: PaddockError = Unavailable("no worker is available; try again later")

    async def next_worker(self) -> WorkerClient:
        """Wait for the worker to try next.

        Raises:
            PaddockError: the last worker's refusal, when no other can be expected to do better.
        """
        try:
            async with asyncio.timeout_at(self._deadline):
                while True:
                    worker = await self._fleet.place(self._weights, self._refusals)
                    if worker:
                        return worker
                    await self._wait_for_room()
        except TimeoutError:
            raise self._error from None

    def failed(self, worker: WorkerClient, error: PaddockError) -> None:
        """Take note of a worker's failure before its first answer.

        Raises:
            PaddockError: `error`, when another worker would fail likewise.
        """
        self._error = error
        if isinstance(error, WorkerLost):
            self._losses += 1
            if self._losses >= _MAX_LOSSES:
                raise error
        elif isinstance(error, OutOfMemory | Unavailable):
            self._refusals[worker.address] = error
        else:
            raise error

    async def _wait_for_room(self) -> None:
        kinds = {type(refusal) for refusal in self._refusals.values()}
        may_end = NoRoom in kinds and may_find_room(self._fleet.candidates(), self._weights)
        if Unavailable not in kinds and not may_end:
            raise self._error
        await self._fleet.change()
        self._refusals.clear()
