"""Floating-point numbers as files hold them, and as numpy computes with them."""

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from common.errors import InvalidModel

Floats = NDArray[np.float32]

_TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}

_SMALLEST_NORMAL = {"F32": 2.0**-126, "F16": 2.0**-14, "BF16": 2.0**-126}

FLOAT_SIZES = {name: kind.itemsize for name, kind in _TYPES.items()}
"""Bytes of a number of each type that can be quantised."""


def decode_floats(data: bytes, dtype: str) -> Floats:
    """Read numbers of one of these types.

    Raises:
        InvalidModel: one is infinite, or no number at all.
    """
    numbers: Floats = np.frombuffer(data, _TYPES[dtype]).astype(np.float32)
    # What is not finite makes the sum so, and large numbers do not: it is a wider one.
    if not np.isfinite(numbers.sum(dtype=np.float64)):
        raise InvalidModel("a weight is not a finite number")
    return numbers


def encode_floats(numbers: Floats, dtype: str) -> bytes:
    """Write numbers in one of these types, rounded to the nearest.

    Raises:
        InvalidModel: one is too large for the type.
    """
    with np.errstate(over="ignore"):
        encoded = numbers.astype(_TYPES[dtype])
    if not np.isfinite(encoded).all():
        raise InvalidModel(f"a weight is too large for {dtype}")
    return encoded.tobytes()


def round_floats(numbers: Floats, dtype: str) -> Floats:
    """Give what remains of numbers after a way through one of these types."""
    rounded: Floats = numbers.astype(_TYPES[dtype]).astype(np.float32)
    return rounded


def smallest_normal(dtype: str) -> float:
    """Give the least number of a type that has its full precision."""
    return _SMALLEST_NORMAL[dtype]
