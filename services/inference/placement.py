"""Which worker serves a model: pure policies over what the workers last reported.

A worker that has the model ready comes first, then one that is loading it, then the
one with the most free memory. Among equals the one with the least work wins.

A status lags a little behind, so a router adds what it has itself sent to each worker.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from protos.paddock.v1 import model_pb2, worker_pb2

READY = worker_pb2.WorkerModel.STATE_READY
LOADING = worker_pb2.WorkerModel.STATE_LOADING


class Wanted(NamedTuple):
    """The kind of engine that a request needs."""

    weights: str
    adapter: bool = False
    """It has to take adapters; one that does serves its base model as well."""

    def is_served_by(self, other: "Wanted") -> bool:
        """Tell whether an engine that was started for another request will do.

        An adapter of a larger rank may need an engine of its own all the same.
        """
        return self.weights == other.weights and self.adapter <= other.adapter


def wanted_by(spec: model_pb2.ModelSpec) -> Wanted:
    """Tell what a model needs."""
    return Wanted(spec.weights, spec.HasField("adapter"))


@dataclass(frozen=True)
class Candidate:
    """A worker as a router sees it."""

    address: str
    status: worker_pb2.WorkerStatus
    in_flight: Mapping[Wanted, int] = field(default_factory=dict)
    """This router's requests on it, by what they need."""


def choose(
    candidates: Sequence[Candidate], wanted: Wanted, excluded: Collection[str] = ()
) -> str | None:
    """Pick the worker for a model, by address; None when there is none to be had."""
    usable = [
        candidate
        for candidate in candidates
        if not candidate.status.draining and candidate.address not in excluded
    ]
    best = min(usable, key=lambda candidate: _rank(candidate, wanted), default=None)
    return best.address if best else None


def may_find_room(candidates: Sequence[Candidate], wanted: Wanted) -> bool:
    """Tell whether waiting can help a model that no worker has room for now.

    It can while another model works, loads or leaves: then memory will be freed.
    """
    return any(
        any(not wanted.is_served_by(other) for other in candidate.in_flight)
        or any(
            model.running or model.waiting or model.state != READY
            for model in candidate.status.models
            if not wanted.is_served_by(wanted_by(model.spec))
        )
        for candidate in candidates
    )


def room(candidates: Sequence[Candidate], wanted: Wanted) -> Hashable:
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
                (wanted_by(model.spec), bool(model.running or model.waiting))
                for model in candidate.status.models
                if model.state == READY and not wanted.is_served_by(wanted_by(model.spec))
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


def _rank(candidate: Candidate, wanted: Wanted) -> tuple[int, float, int]:
    status = candidate.status
    states = {model.state for model in status.models if wanted.is_served_by(wanted_by(model.spec))}
    reported = sum(model.running + model.waiting for model in status.models)
    work = max(reported, sum(candidate.in_flight.values()))
    if READY in states:
        return 0, work, 0
    if LOADING in states or any(wanted.is_served_by(other) for other in candidate.in_flight):
        return 1, work, 0
    return 2, status.memory_used - status.memory_budget, work
