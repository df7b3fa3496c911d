"""Which worker serves a model: pure policies over what the workers last reported.

A worker that has the model ready comes first, then one that is loading it, then the
one with the most free memory. Among equals the one with the least work wins.

A status lags a little behind, so a router adds what it has itself sent to each worker.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from protos.paddock.v1 import worker_pb2

READY = worker_pb2.WorkerModel.STATE_READY
LOADING = worker_pb2.WorkerModel.STATE_LOADING


@dataclass(frozen=True)
class Candidate:
    """A worker as a router sees it."""

    address: str
    status: worker_pb2.WorkerStatus
    in_flight: Mapping[str, int] = field(default_factory=dict)
    """This router's requests on it, by the weights they use."""


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
        any(other != weights for other in candidate.in_flight)
        or any(
            model.running or model.waiting or model.state != READY
            for model in candidate.status.models
            if model.spec.weights != weights
        )
        for candidate in candidates
    )


def room(candidates: Sequence[Candidate], weights: str) -> Hashable:
    """Sum up all that decides whether a worker has room for a model.

    While this stays equal a worker that refused the model will refuse it again. What the
    refused attempts themselves change in a status is left out.
    """
    return frozenset(
        (
            candidate.address,
            candidate.status.worker,
            candidate.status.draining,
            candidate.status.memory_used,
            frozenset(
                (model.spec.weights, bool(model.running or model.waiting))
                for model in candidate.status.models
                if model.state == READY and model.spec.weights != weights
            ),
        )
        for candidate in candidates
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
    reported = sum(model.running + model.waiting for model in status.models)
    work = max(reported, sum(candidate.in_flight.values()))
    if READY in states:
        return 0, work, 0
    if LOADING in states or candidate.in_flight.get(weights):
        return 1, work, 0
    return 2, status.memory_used - status.memory_budget, work
