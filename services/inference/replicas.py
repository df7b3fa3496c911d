"""Growing the models that are hot."""

import asyncio
import logging
import time
from collections.abc import Iterator

from common.errors import PaddockError
from protos.paddock.v1 import worker_pb2
from services.inference.fleet import Fleet
from services.inference.placement import Candidate, Held, replicas_of
from services.inference.scaling import (
    DEFAULT_SCALING,
    Scaling,
    Waiting,
    hot_models,
    next_replica,
)

logger = logging.getLogger(__name__)

# Seconds between two looks at the models.
_INTERVAL = 0.1
# Seconds for which a worker that refused a replica is left out.
_REFUSAL = 30.0


class Replicas:
    """Loads a model on one more worker when its present ones have too much to do.

    A load is idempotent, and what it brought about is seen in the workers' statuses: several
    routers that do this at once start hardly more than one would.

    Args:
        fleet: the workers.
        waiting: tells how many of this router's requests wait for some engine.
        scaling: when a model is hot, and how many replicas it may have.
        delay: seconds that it must have been hot before it gets another one.
    """

    def __init__(
        self,
        fleet: Fleet,
        waiting: Waiting,
        scaling: Scaling = DEFAULT_SCALING,
        delay: float = 0.5,
    ) -> None:
        self._fleet = fleet
        self._waiting = waiting
        self._scaling = scaling
        self._delay = delay
        # By model and number of replicas: a new one is given time to help.
        self._hot_since: dict[tuple[str, int], float] = {}
        self._refusals: dict[tuple[str, str], float] = {}  # by model and worker: until when

    async def follow(self) -> None:
        """Grow models until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                for candidate, engine in self._due(time.monotonic()):
                    group.create_task(self._load(candidate, engine))
                await asyncio.sleep(_INTERVAL)

    def _due(self, now: float) -> Iterator[tuple[Candidate, Held]]:
        """Name the replicas to be loaded now, and where; a worker gets one at a time."""
        candidates = self._fleet.candidates()
        hot = {
            (engine.wanted.weights, len(replicas_of(candidates, engine.wanted))): engine
            for engine in hot_models(candidates, self._waiting, self._scaling)
        }
        self._hot_since = {key: self._hot_since.get(key, now) for key in hot}
        taken: set[str] = set()
        for key, engine in hot.items():
            if now - self._hot_since[key] < self._delay:
                continue
            excluded = taken | self._refused(engine.wanted.weights, now)
            if candidate := next_replica(candidates, engine, time.time(), excluded):
                taken.add(candidate.address)
                yield candidate, engine

    def _refused(self, weights: str, now: float) -> set[str]:
        self._refusals = {key: until for key, until in self._refusals.items() if until > now}
        return {address for model, address in self._refusals if model == weights}

    async def _load(self, candidate: Candidate, engine: Held) -> None:
        worker = self._fleet.worker(candidate.address)
        if worker is None:
            return
        logger.info("one more replica of %s, on %s", engine.spec.name, candidate.address)
        try:
            await worker.load(worker_pb2.LoadModelRequest(spec=engine.spec))
        except PaddockError as error:
            logger.info("%s cannot load %s: %s", candidate.address, engine.spec.name, error)
            key = engine.wanted.weights, candidate.address
            self._refusals[key] = time.monotonic() + _REFUSAL
