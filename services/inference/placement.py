"""Where a model is to be loaded, and what room there is: pure policies over workers' reports.

A worker that is loading the model already comes first, then one with free memory, then one
where idle models can make room: those that were used last the longest ago, pinned ones
after all others. The worker itself decides in the end; one that refuses is left out.

A status lags a little behind, so a router adds what it has itself sent to each worker.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from protos.paddock.v1 import model_pb2, worker_pb2
from services.inference.rendezvous import key_of, score

READY = worker_pb2.WorkerModel.STATE_READY
LOADING = worker_pb2.WorkerModel.STATE_LOADING

# What an engine takes as a multiple of its files: the cache and what it computes with.
_MEMORY_PER_BYTE = 1.2


class Wanted(NamedTuple):
    """The kind of engine that a request needs."""

    weights: str
    adapter: bool = False
    """It has to take adapters; one that does serves its base model as well."""
    size: int = 0
    """Bytes of its files."""

    def is_served_by(self, other: "Wanted") -> bool:
        """Tell whether an engine that was started for another request will do.

        An adapter of a larger rank may need an engine of its own all the same.
        """
        return self.weights == other.weights and self.adapter <= other.adapter


def wanted_by(spec: model_pb2.ModelSpec) -> Wanted:
    """Tell what a model needs."""
    size = sum([file.size for file in spec.files])
    return Wanted(spec.weights, spec.HasField("adapter"), size)


@dataclass(frozen=True)
class Held:
    """An engine on a worker; manifests that share it are one."""

    wanted: Wanted
    """What it was started for, as far as its manifests tell."""
    state: int
    memory: int
    slots: int
    """Sequences that run at once; 0 while it loads."""
    load: int
    """Sequences that run or wait."""
    used_at: float
    """Seconds since 1970."""
    pinned: bool
    """It stays for ever."""
    spec: model_pb2.ModelSpec
    """Of its busiest manifest."""

    @property
    def idle(self) -> bool:
        """Ready, and unused."""
        return self.state == READY and not self.load


@dataclass(frozen=True)
class Candidate:
    """A worker as a router sees it. The mappings go on changing until the next status."""

    address: str
    status: worker_pb2.WorkerStatus
    in_flight: Mapping[Wanted, int] = field(default_factory=dict)
    """This router's requests on it, by what they need."""
    reported: Mapping[Wanted, int] = field(default_factory=dict)
    """Of those, what was on its way when the status came, and so is counted in it."""

    @cached_property
    def worker(self) -> str:
        """The worker's own name, which it has under every address and for every router."""
        return self.status.worker or self.address

    @cached_property
    def draining(self) -> bool:
        """It takes no new work."""
        return self.status.draining

    @cached_property
    def held(self) -> tuple[Held, ...]:
        """Its engines."""
        return tuple(_engines(self.status.models))

    @cached_property
    def free(self) -> int:
        """Bytes that no engine has taken."""
        return self.status.memory_budget - self.status.memory_used

    @cached_property
    def share(self) -> float:
        """How full its engines are, each as a share of its slots."""
        return sum(held.load / held.slots for held in self.held if held.slots)

    def engine(self, wanted: Wanted) -> Held | None:
        """Find an engine that serves a request: a ready one, else one that loads."""
        serving = self._serving.get(wanted.weights)
        return serving[wanted.adapter] if serving else None

    def load(self, weights: str) -> int:
        """Count a model's sequences: those reported, and this router's since then."""
        return self._loads.get(weights, 0) + self.sent(weights)

    def sent(self, weights: str) -> int:
        """Count this router's sequences of a model that the status does not show yet.

        Less than none have been sent where some that it shows have ended.
        """
        own = 0
        for wanted, count in self.in_flight.items():
            if wanted.weights == weights:
                own += count
        return own - self._shown.get(weights, 0)

    @cached_property
    def _shown(self) -> Mapping[str, int]:
        """This router's sequences that the status shows, by weights."""
        shown: Counter[str] = Counter()
        for wanted, count in self.reported.items():
            shown[wanted.weights] += count
        return {weights: min(shown[weights], self._loads.get(weights, 0)) for weights in shown}

    @cached_property
    def _serving(self) -> Mapping[str, tuple[Held | None, Held | None]]:
        """The engines by weights: one for the base model, and one that takes adapters."""
        found: dict[str, tuple[Held | None, Held | None]] = {}
        for held in sorted(self.held, key=lambda held: held.state == READY):
            if held.state in (READY, LOADING):
                _, tuned = found.get(held.wanted.weights, (None, None))
                found[held.wanted.weights] = held, held if held.wanted.adapter else tuned
        return found

    @cached_property
    def _loads(self) -> Mapping[str, int]:
        loads: Counter[str] = Counter()
        for held in self.held:
            loads[held.wanted.weights] += held.load
        return loads


class Replica(NamedTuple):
    """An engine that serves a model, and where."""

    candidate: Candidate
    engine: Held
    sent: int
    """This router's sequences that its load does not count yet."""

    @property
    def load(self) -> int:
        """Sequences that run or wait."""
        return self.engine.load + self.sent


def replicas_of(candidates: Iterable[Candidate], wanted: Wanted) -> list[Replica]:
    """Find the engines that can serve a model at once, on workers that take work."""
    found = []
    for candidate in candidates:
        engine = candidate.engine(wanted)
        if engine is not None and engine.state == READY and not candidate.draining:
            found.append(Replica(candidate, engine, candidate.sent(wanted.weights)))
    return found


def choose(
    candidates: Sequence[Candidate], wanted: Wanted, excluded: Collection[str] = ()
) -> str | None:
    """Pick the worker to load a model, by address; None when there is none to be had."""
    usable = [
        candidate
        for candidate in candidates
        if not candidate.draining and candidate.address not in excluded
    ]
    need = memory_needed(candidates, wanted)
    best = min(usable, key=lambda candidate: _rank(candidate, wanted, need), default=None)
    return best.address if best else None


def memory_needed(candidates: Iterable[Candidate], wanted: Wanted) -> int:
    """Estimate the bytes that a model takes: what it takes elsewhere, or by its files."""
    engines = [engine for candidate in candidates if (engine := candidate.engine(wanted))]
    known = max((engine.memory for engine in engines), default=0)
    return known or max(int(wanted.size * _MEMORY_PER_BYTE), 1)


def victims(candidate: Candidate, need: int, *, pinned: bool) -> list[Held] | None:
    """Name the idle engines that a worker would end to make room; None: that is not enough.

    They are the least recently used, and those that are pinned only if `pinned` allows it.
    """
    chosen: list[Held] = []
    free = candidate.free
    idle = (held for held in candidate.held if held.idle and (pinned or not held.pinned))
    for held in sorted(idle, key=lambda held: (held.pinned, held.used_at)):
        if free >= need:
            break
        chosen.append(held)
        free += held.memory
    return chosen if free >= need else None


def may_find_room(candidates: Sequence[Candidate], wanted: Wanted) -> bool:
    """Tell whether waiting can help a model that no worker has room for now.

    It can while another model works, loads or leaves: then memory will be freed.
    """
    return any(
        any(not wanted.is_served_by(other) for other in candidate.in_flight)
        or any(not held.idle for held in candidate.held if not wanted.is_served_by(held.wanted))
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
            candidate.worker,
            candidate.draining,
            candidate.status.memory_used,
            frozenset(
                (held.wanted, held.load > 0)
                for held in candidate.held
                if held.state == READY and not wanted.is_served_by(held.wanted)
            ),
        )
        for candidate in candidates
    )


def slots(candidates: Sequence[Candidate], weights: str) -> int:
    """Count the sequences of a model that its engines can run at once."""
    return sum(
        max((held.slots for held in candidate.held if held.wanted.weights == weights), default=0)
        for candidate in candidates
    )


def _rank(candidate: Candidate, wanted: Wanted, need: int) -> tuple[float, ...]:
    """Order workers for a model that is not loaded; the smallest comes first.

    Engines on one worker share its cores, so a worker with fewer of them comes first. Among
    equals it is the one where the model leaves the least room free: large workers, and what
    is empty of them, stay free for models that fit nowhere else.
    """
    tie = -score(key_of(wanted.weights), candidate.worker)
    coming = any(wanted.is_served_by(other) for other in candidate.in_flight)
    engine = candidate.engine(wanted)
    if engine is not None or coming:
        return 0 if engine and engine.state == READY else 1, candidate.load(wanted.weights), tie
    if candidate.free >= need:
        others = {held.wanted.weights for held in candidate.held}
        others.update(other.weights for other in candidate.in_flight)
        return 2, len(others), candidate.free, tie
    for pinned in (False, True):
        leaving = victims(candidate, need, pinned=pinned)
        if leaving is not None:
            return 3 + pinned, max(held.used_at for held in leaving), tie
    return 5 + (candidate.status.memory_budget < need), -candidate.free, tie


def _engines(models: Iterable[worker_pb2.WorkerModel]) -> Iterator[Held]:
    """Join the manifests that share an engine: those whose weights, memory and load agree."""
    shared: dict[Hashable, list[worker_pb2.WorkerModel]] = {}
    for model in models:
        key = (model.spec.weights, model.state, model.memory, model.load_duration)
        shared.setdefault(key, []).append(model)
    for entries in shared.values():
        busiest = max(entries, key=lambda model: (model.running + model.waiting, _used_at(model)))
        base = wanted_by(busiest.spec)
        yield Held(
            wanted=base._replace(adapter=any(it.spec.HasField("adapter") for it in entries)),
            state=busiest.state,
            memory=busiest.memory,
            slots=max(model.max_sequences for model in entries),
            load=sum(model.running + model.waiting for model in entries),
            used_at=max(map(_used_at, entries)),
            pinned=any(not model.HasField("expires_at") for model in entries),
            spec=busiest.spec,
        )


def _used_at(model: worker_pb2.WorkerModel) -> float:
    return model.used_at.seconds + model.used_at.nanos / 1e9
