"""The attempts of one request to find a worker that can serve it."""

import asyncio
from collections.abc import Hashable

from common.errors import NoRoom, OutOfMemory, PaddockError, Unavailable, WorkerLost
from services.inference.fleet import Fleet
from services.inference.placement import Wanted, may_find_room, room
from services.inference.worker_client import WorkerClient

# A model that brings down every worker it is started on must not go round for ever.
_MAX_LOSSES = 3

# Seconds after which a worker's status shows what it knew when it refused.
_STATUS_LAG = 0.5


class Attempts:
    """Names one worker after another, until one serves the request or hope is lost.

    Workers that refused are left out until one of them may have room; all waiting ends
    at the deadline.
    """

    def __init__(self, fleet: Fleet, wanted: Wanted, timeout: float) -> None:
        self._fleet = fleet
        self._wanted = wanted
        self._deadline = asyncio.get_running_loop().time() + timeout
        self._refusals: dict[str, PaddockError] = {}  # by worker, since the last change
        self._refused_in: Hashable = None  # what `room` was at the first of them
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
                    worker = await self._fleet.place(self._wanted, self._refusals)
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
            if not self._refusals:
                self._refused_in = self._room()
            self._refusals[worker.address] = error
        else:
            raise error

    async def _wait_for_room(self) -> None:
        kinds = {type(refusal) for refusal in self._refusals.values()}
        if not kinds & {NoRoom, Unavailable}:
            raise self._error
        hopeful = Unavailable in kinds or may_find_room(self._fleet.candidates(), self._wanted)
        try:
            async with asyncio.timeout(None if hopeful else _STATUS_LAG):
                while self._room() == self._refused_in:
                    await self._fleet.change()
        except TimeoutError:
            raise self._error from None
        self._refusals.clear()

    def _room(self) -> Hashable:
        return room(self._fleet.candidates(), self._wanted)
