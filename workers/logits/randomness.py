"""The randomness of sampling: a function of a seed and a position, and of nothing else.

A request draws the same however its prompt was cut into chunks, whoever ran beside it, and
on whatever machine.
"""

import math

import torch
from torch import Tensor

# SplitMix64 (Steele, Lea and Flood, 2014), its constants as signed integers of 64 bits.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)
_FRACTION = 48  # bits; times a sum of probabilities, it still rounds to less than the sum


def uniform(seeds: Tensor, positions: Tensor) -> Tensor:
    """Give numbers between 0 and 1, both excluded, in double precision."""
    hashed = _shifted(_mix(_mix(seeds) + positions), 64 - _FRACTION)
    return (hashed.to(torch.float64) + 0.5) * math.ldexp(1, -_FRACTION)


def draw(logits: Tensor, numbers: Tensor) -> Tensor:
    """Draw from rows of logits by probability; `numbers` is a column of `uniform` ones.

    What it gives, a column of indices, depends on the order of the logits.
    """
    sums = logits.softmax(dim=1, dtype=torch.float64).cumsum(dim=1)
    drawn = torch.searchsorted(sums, numbers * sums[:, -1:], right=True)
    return drawn.clamp(max=logits.shape[1] - 1)  # a broken model's logits are no numbers


def _mix(state: Tensor) -> Tensor:
    state = state + _GOLDEN
    state = (state ^ _shifted(state, 30)) * _FIRST
    state = (state ^ _shifted(state, 27)) * _SECOND
    return state ^ _shifted(state, 31)


def _shifted(state: Tensor, bits: int) -> Tensor:
    """Shift right, and let zeros follow."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)
