"""Which worker serves a model: a pure policy over what the workers last reported.

A worker that has the model ready comes first, then one that is loading it, then the
one with the most free memory. Among equals the one with the least work wins.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from protos.paddock.v1 import worker_pb2

READY = worker_pb2.WorkerModel.STATE_READY
LOADING = worker_pb2.WorkerModel.STATE_LOADING


@dataclass(frozen=True)
class Candidate:
    """A worker as a router sees it."""

    address: str
    status: worker_pb2.WorkerStatus
    in_flight: int
    """Sequences that this router has on it; its status may lag behind."""


def choose(
    candidates: Sequence[Candidate], weights: str, excluded: Collection[str] = ()
) -> str | None:
    """Pick the worker for a model, by address; None when there is none to be had."""
    usable = [
        candidate
        for candidate in candidates
        if not candidate.status.draining and candidate.address not in excluded
    ]
    best = min(usable, key=lambda candidate: _rank(candidate, weights), default=None)
    return best.address if best else None


def may_find_room(candidates: Sequence[Candidate], weights: str) -> bool:
    """Tell whether waiting can help a model that no worker has room for now.

    It can while another model works, loads or leaves: then memory will be freed.
    """
    return any(
        model.running or model.waiting or model.state != READY
        for candidate in candidates
        for model in candidate.status.models
        if model.spec.weights != weights
    )


def slots(candidates: Sequence[Candidate], weights: str) -> int:
    """Count the sequences of a model that its engines can run at once."""
    return sum(
        max(
            (
                model.max_sequences
                for model in candidate.status.models
                if model.spec.weights == weights
            ),
            default=0,
        )
        for candidate in candidates
    )


def _rank(candidate: Candidate, weights: str) -> tuple[int, float, int]:
    status = candidate.status
    states = {model.state for model in status.models if model.spec.weights == weights}
    work = max(candidate.in_flight, sum(model.running + model.waiting for model in status.models))
    if READY in states:
        return 0, work, 0
    if LOADING in states:
        return 1, work, 0
    return 2, status.memory_used - status.memory_budget, work
