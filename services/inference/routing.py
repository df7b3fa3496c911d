"""Which of a model's replicas serves a request."""

import random
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count
from typing import Protocol

from services.inference.affinity import Mark, Prefix
from services.inference.pace import Paces
from services.inference.placement import Candidate, Replica, Wanted
from services.inference.rendezvous import first_two
from services.inference.scaling import DEFAULT_SCALING, Scaling, needed

# All costs are in multiples of the time that a request takes on an idle worker, on the mean.

# What it costs to compute a whole prompt anew.
_PROMPT = 0.5
# How much longer both of a conversation's own workers must make it wait before it goes to
# the one where it waits least.
_MUCH = 0.25
# Of prompts that are remembered, about 300 bytes each.
_MOST_MARKS = 1 << 16
# Workers that are remembered for one of them.
_MOST_HOLDERS = 8


class Routing(Protocol):
    """A way to choose between replicas."""

    def choose(
        self, replicas: Sequence[Replica], wanted: Wanted, prefix: Prefix | None
    ) -> Candidate:
        """Choose the worker that serves a request; there is at least one."""

    def served(
        self, prefix: Prefix, worker: str, seconds: float, marks: Iterable[Mark] = ()
    ) -> None:
        """Learn that a worker served a request, how long it took, and what it computed more."""


class RoundRobin:
    """Each replica in turn, whatever its load: what the other way is measured against."""

    def __init__(self) -> None:
        self._turns = count()

    def choose(
        self, replicas: Sequence[Replica], wanted: Wanted, prefix: Prefix | None
    ) -> Candidate:
        """Choose the next one."""
        ordered = sorted(replicas, key=lambda replica: replica.candidate.worker)
        return ordered[next(self._turns) % len(ordered)].candidate

    def served(
        self, prefix: Prefix, worker: str, seconds: float, marks: Iterable[Mark] = ()
    ) -> None:
        """Nothing is learned."""


class AffinityRouting:
    """The shortest expected wait, what must be computed anew counted in.

    Looked at are the workers that are known to have computed a beginning of the prompt, and
    the two that rendezvous hashing gives the conversation: another router, or this one after
    a restart, finds the same two for its next turn, and of two the less loaded one is nearly
    as good as the best of all ("the power of two choices"). Only where the best of these is
    much worse than the least loaded replica, it is that one.
    """

    def __init__(self, scaling: Scaling = DEFAULT_SCALING) -> None:
        self._scaling = scaling
        self._holders: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()
        self._paces = Paces()

    def choose(
        self, replicas: Sequence[Replica], wanted: Wanted, prefix: Prefix | None
    ) -> Candidate:
        """Choose the replica where a request is done first."""
        replicas = needed(replicas, wanted.weights, self._scaling)
        if len(replicas) == 1:
            return replicas[0].candidate
        workers = [replica.candidate.worker for replica in replicas]
        pair = _pair(workers, prefix)
        cached = self._cached(prefix, [workers[place] for place in pair]) if prefix else {}
        waits = [self._wait(replica) for replica in replicas]

        def cost(place: int) -> float:
            return waits[place] + _PROMPT * (1 - cached.get(workers[place], 0.0))

        holders = (place for place, worker in enumerate(workers) if worker in cached)
        best = min(chain(pair, holders), key=cost)
        least = waits.index(min(waits))
        return replicas[least if cost(least) + _MUCH < cost(best) else best].candidate

    def served(
        self, prefix: Prefix, worker: str, seconds: float, marks: Iterable[Mark] = ()
    ) -> None:
        """Remember where the prompt's cache lies, and how long the worker took."""
        self._paces.served(worker, prefix.weights, seconds)
        for mark in chain(prefix.marks, marks):
            others = [it for it in self._holders.pop(mark.key, ()) if it != worker]
            self._holders[mark.key] = (worker, *others[: _MOST_HOLDERS - 1])
        while len(self._holders) > _MOST_MARKS:
            self._holders.popitem(last=False)

    def _wait(self, replica: Replica) -> float:
        """Expect how long a request takes longer than on an idle worker of mean speed.

        It is taken to grow with all that runs and waits on the worker, as a share of what can
        run at once, in proportion: beyond that share requests queue, and up to it they share
        the worker's cores.
        """
        candidate, engine, sent = replica
        share = candidate.share + sent / (engine.slots or 1)
        return share * self._paces.of(candidate.worker, engine.wanted.weights)

    def _cached(self, prefix: Prefix, pair: Iterable[str]) -> Mapping[str, float]:
        """Tell which share of a prompt each worker has computed, as far as can be guessed.

        Who computed the last turn's prompt has its answer too. Where this router has not
        seen that turn, another one has, and sent it to one of the pair.
        """
        found: dict[str, int] = {}
        for mark in reversed(prefix.marks):
            for worker in self._holders.get(mark.key, ()):
                found.setdefault(worker, mark.length)
        longest = max(found.values(), default=0)
        if longest and longest >= prefix.asked:
            found = {
                worker: max(length, prefix.answered) if length >= prefix.asked else length
                for worker, length in found.items()
            }
        elif prefix.answered:
            found.update((worker, prefix.answered) for worker in pair)
        whole = max(prefix.length, 1)
        return {worker: length / whole for worker, length in found.items()}


def _pair(workers: Sequence[str], prefix: Prefix | None) -> Sequence[int]:
    """Give the places of a conversation's own two workers; without one, of any two."""
    if prefix is None:
        return random.sample(range(len(workers)), 2)
    return first_two(int.from_bytes(prefix.opening.key[:8]), workers)
