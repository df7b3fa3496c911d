"""Rendezvous hashing: an order of workers for a key that every router finds alike.

Each pair of key and worker has a score of its own, so a worker that comes or goes changes
nobody else's place (Thaler and Ravishankar, 1996).
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

_MASK = (1 << 64) - 1
# Odd, with well spread bits: those of SplitMix64 (Steele, Lea and Flood, 2014).
_FIRST_FACTOR = 0xBF58476D1CE4E5B9
_SECOND_FACTOR = 0x94D049BB133111EB


def score(key: int, worker: str) -> int:
    """Give a worker's score for a key of 64 bits; the highest comes first."""
    mixed = ((key ^ key_of(worker)) * _FIRST_FACTOR) & _MASK
    return ((mixed ^ mixed >> 29) * _SECOND_FACTOR) & _MASK


@lru_cache(maxsize=1 << 14)
def key_of(text: str) -> int:
    """Hash a text to 64 bits, in every process alike."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def first_two(key: int, workers: Sequence[str]) -> tuple[int, int]:
    """Give the places of the two workers that come first; there are two at least."""
    scores = [score(key, worker) for worker in workers]
    first = scores.index(max(scores))
    scores[first] = -1
    return first, scores.index(max(scores))
