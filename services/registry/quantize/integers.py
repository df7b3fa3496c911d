"""Weights as small integers with scales, as compressed-tensors stores them.

Both forms are symmetric: a weight is its integer times the scale of its group. The scale is
chosen to be the best in the type that it is stored in.
"""

import numpy as np
from numpy.typing import NDArray

from services.registry.quantize.floats import Floats, round_floats, smallest_normal

_BLOCK = 1 << 17  # numbers that are worked on at a time, so that they stay in the CPU's cache

# Where the largest weight of a group may come to lie, in steps of the scale. Integers end at
# -8 and 7; a weight beyond them is cut off, to the good of all others.
_LEVELS = (7.0, 7.5, 8.0, 8.5, 9.0, 9.5)

_INT8_LEVELS = 127


def quantize_int4(
    weights: Floats, group_size: int, scale_type: str
) -> tuple[NDArray[np.int32], Floats]:
    """Quantise a matrix to four bits, in groups along its rows.

    Of several ways to place a group, each with the scale that the least squares give it, the
    one with the smallest squared error is taken.

    Args:
        weights: rows of a length that `group_size` and 8 divide.
        group_size: how many weights share a scale.
        scale_type: in which the scales will be stored.

    Returns:
        The integers, packed as compressed-tensors' `pack_to_int32` does, and the scales, each
        with as many rows as the weights.
    """
    rows, columns = weights.shape
    groups = weights.reshape(-1, group_size)
    packed = np.empty(weights.size // 8, np.int32)
    scales = np.empty(len(groups), np.float32)
    step = max(1, _BLOCK // group_size)
    for start in range(0, len(groups), step):
        block = groups[start : start + step]
        scale = _best_scales(block)
        scale = round_floats(np.maximum(scale, smallest_normal(scale_type)), scale_type)
        integers = np.clip(np.rint(block / scale[:, None]), -8, 7)
        first = start * group_size // 8
        packed[first : first + block.size // 8] = _pack(integers)
        scales[start : start + step] = scale
    return packed.reshape(rows, columns // 8), scales.reshape(rows, -1)


def quantize_int8(weights: Floats, scale_type: str) -> tuple[NDArray[np.int8], Floats]:
    """Quantise a matrix to eight bits; each row has one scale.

    Args:
        weights: the rows.
        scale_type: in which the scales will be stored.

    Returns:
        The integers, and a column of scales.
    """
    largest = np.abs(weights).max(axis=1, keepdims=True)
    scales = np.maximum(largest / _INT8_LEVELS, smallest_normal(scale_type))
    scales = round_floats(scales, scale_type)
    integers = np.clip(np.rint(weights / scales), -_INT8_LEVELS - 1, _INT8_LEVELS)
    return integers.astype(np.int8), scales


def _best_scales(groups: Floats) -> Floats:
    """Find the scale of each group, given as a row, by trying `_LEVELS`."""
    largest = np.abs(groups).max(axis=1)
    largest[largest == 0] = 1
    best = np.zeros(len(groups), np.float32)
    scales = np.zeros(len(groups), np.float32)
    integers = np.empty_like(groups)
    for level in _LEVELS:
        np.multiply(groups, (np.float32(level) / largest)[:, None], out=integers)
        np.rint(integers, out=integers)
        np.clip(integers, -8, 7, out=integers)
        product = np.einsum("ij,ij->i", groups, integers)
        square = np.maximum(np.einsum("ij,ij->i", integers, integers), 1)
        gain = product * product / square
        better = gain > best
        best[better] = gain[better]
        scales[better] = (product / square)[better]
    return scales


def _pack(integers: Floats) -> NDArray[np.int32]:
    """Put eight numbers from -8 to 7 into each 32 bits, the first into the lowest four."""
    nibbles = (integers + 8).astype(np.uint8).reshape(-1, 2)
    pairs = nibbles[:, 0] | (nibbles[:, 1] << 4)
    packed: NDArray[np.int32] = pairs.view("<i4")
    return packed
