"""How long the workers take for a request, so that a slow machine gets less."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K")

# How many requests the mean looks back on, about.
_MEMORY = 32
# Requests before which a worker is taken to be like the others.
_LEAST_SEEN = 8
# Answers differ in length, so what is measured says little about small differences, and
# nothing worth believing beyond this.
_SMALLEST = 1.25
_LARGEST = math.log(4)
# Of workers and models that are remembered.
_MOST = 4096


@dataclass
class _Mean:
    """The mean logarithm of seconds, which a few long answers do not spoil."""

    value: float = 0.0
    seen: int = 0
    ratio: float = 1.0
    """To all workers' mean, in seconds."""

    def add(self, seconds: float) -> None:
        self.seen += 1
        share = 1 / min(self.seen, _MEMORY)
        self.value += share * (math.log(max(seconds, 1e-3)) - self.value)


class Paces:
    """Measures each worker against all workers with the same model."""

    def __init__(self) -> None:
        self._means: OrderedDict[tuple[str, str], _Mean] = OrderedDict()
        self._all: OrderedDict[str, _Mean] = OrderedDict()

    def served(self, worker: str, weights: str, seconds: float) -> None:
        """Take note of a request's duration."""
        mean = _mean_of(self._means, (worker, weights))
        everywhere = _mean_of(self._all, weights)
        mean.add(seconds)
        everywhere.add(seconds)
        if mean.seen >= _LEAST_SEEN:
            mean.ratio = _ratio(mean.value - everywhere.value)

    def of(self, worker: str, weights: str) -> float:
        """Give a worker's mean duration as a multiple of all workers' mean."""
        mean = self._means.get((worker, weights))
        return mean.ratio if mean else 1.0


def _mean_of(means: OrderedDict[K, _Mean], key: K) -> _Mean:
    """Find or begin a mean; the one that was used longest ago goes when there are too many."""
    mean = means.setdefault(key, _Mean())
    means.move_to_end(key)
    if len(means) > _MOST:
        means.popitem(last=False)
    return mean


def _ratio(difference: float) -> float:
    """Give a believable ratio for a difference of logarithms."""
    ratio = math.exp(min(max(difference, -_LARGEST), _LARGEST))
    return ratio if max(ratio, 1 / ratio) > _SMALLEST else 1.0
