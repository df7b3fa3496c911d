"""The attempts of one request to find a worker that can serve it."""

import asyncio
import math
from collections.abc import Hashable

from common.errors import Interrupted, NoRoom, OutOfMemory, PaddockError, Unavailable, WorkerLost
from services.inference.affinity import Prefix
from services.inference.fleet import Fleet
from services.inference.placement import Wanted, may_find_room, room
from services.inference.worker_client import WorkerClient

# A request that brings down every worker it is started on must not go round for ever.
_MAX_LOSSES = 3

# Seconds within which workers are lost at once: not by the request, then.
_AT_ONCE = 0.05

# Seconds from the second loss on: when this process was held up, it loses all of its workers at
# once, and knows a moment later.
_LOSS_PAUSE = 0.3

# Seconds after which a worker's status shows what it knew when it refused.
_STATUS_LAG = 0.5


class Attempts:
    """Names one worker after another, until one serves the request or hope is lost.

    Workers that refused are left out until one of them may have room; all waiting ends
    `timeout` seconds after the request began, got further, or lost its worker.
    """

    def __init__(
        self, fleet: Fleet, wanted: Wanted, timeout: float, prefix: Prefix | None = None
    ) -> None:
        self._fleet = fleet
        self._wanted = wanted
        self._prefix = prefix
        self._timeout = timeout
        self._refusals: dict[str, PaddockError] = {}  # by worker, since the last change
        self._refused_in: Hashable = None  # what `room` was at the first of them
        self._progress = 0
        self._error: PaddockError = Unavailable("no worker is available; try again later")
        self._losses = 0
        self._lost_workers = 0
        self._lost_at = -math.inf
        self._extend()

    async def next_worker(self) -> WorkerClient:
        """Wait for the worker to try next.

        Raises:
            PaddockError: the last worker's refusal, when no other can be expected to do better.
        """
        try:
            async with asyncio.timeout_at(self._deadline):
                if self._lost_workers > 1:
                    await asyncio.sleep(_LOSS_PAUSE)
                while True:
                    worker = await self._fleet.place(self._wanted, self._refusals, self._prefix)
                    if worker:
                        return worker
                    await self._wait_for_room()
        except TimeoutError:
            raise self._error from None

    def failed(self, worker: WorkerClient, error: PaddockError, progress: int = 0) -> None:
        """Take note of a worker's failure.

        `progress` grows with what the request has got; as long as it does, there is hope.

        Raises:
            PaddockError: `error`, when another worker would fail likewise.
        """
        # Whoever asks this router is not to ask another one, which would find the same.
        self._error = Unavailable(error.message) if isinstance(error, Interrupted) else error
        if progress > self._progress:
            self._progress = progress
            self._losses = self._lost_workers = 0
            self._extend()
        if isinstance(error, WorkerLost):
            self._extend()
            self._count_loss()
            if self._losses >= _MAX_LOSSES:
                raise error
        elif isinstance(error, OutOfMemory | Unavailable):
            if not self._refusals:
                self._refused_in = self._room()
            self._refusals[worker.address] = error
        else:
            raise error

    def _count_loss(self) -> None:
        now = asyncio.get_running_loop().time()
        self._losses += now - self._lost_at > _AT_ONCE
        self._lost_workers += 1
        self._lost_at = now

    def _extend(self) -> None:
        self._deadline = asyncio.get_running_loop().time() + self._timeout

    async def _wait_for_room(self) -> None:
        kinds = {type(refusal) for refusal in self._refusals.values()}
        if not any(issubclass(kind, NoRoom | Unavailable) for kind in kinds):
            raise self._error
        hopeful = any(issubclass(kind, Unavailable) for kind in kinds)
        hopeful = hopeful or may_find_room(self._fleet.candidates(), self._wanted)
        try:
            async with asyncio.timeout(None if hopeful else _STATUS_LAG):
                while self._room() == self._refused_in:
                    await self._fleet.change()
        except TimeoutError:
            raise self._error from None
        self._refusals.clear()

    def _room(self) -> Hashable:
        return room(self._fleet.candidates(), self._wanted)
