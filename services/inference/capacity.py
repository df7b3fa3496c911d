"""How many sequences of a model a router may have in flight."""

from collections.abc import Sequence

from services.inference.fleet import Fleet
from services.inference.placement import READY, Candidate

# The part of its slots that each router may use in any case: a router that keeps an engine busy
# must not keep the others from it. What is too many waits in the engine's own queue.
_SHARE = 1 / 4


class Capacities:
    """Counts for each model, anew when a worker has reported something."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._counted_in: list[Candidate] | None = None
        self._counts: dict[str, int] = {}

    def of(self, weights: str) -> int:
        """Count the sequences that this router may have in flight, those that it has included."""
        candidates = self._fleet.candidates()
        if candidates is not self._counted_in:
            self._counted_in = candidates
            self._counts.clear()
        count = self._counts.get(weights)
        if count is None:
            count = self._counts[weights] = capacity(candidates, weights)
        return count


def capacity(candidates: Sequence[Candidate], weights: str) -> int:
    """Count what a model's engines run at once, but for what other routers have on them.

    At least one, which loads the model where no engine is ready; and what this router has on
    workers that leave, which is to keep nothing from going ahead on the others.
    """
    slots = others = leaving = 0
    for candidate in candidates:
        own = sum(
            count for wanted, count in candidate.in_flight.items() if wanted.weights == weights
        )
        if candidate.draining:
            leaving += own
            continue
        ready = [
            held.slots
            for held in candidate.held
            if held.wanted.weights == weights and held.state == READY
        ]
        slots += max(ready, default=0)
        others += max(candidate.load(weights) - own, 0)
    return max(slots - others, int(slots * _SHARE), 1) + leaving
