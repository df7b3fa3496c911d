"""Weights as small integers, and what compressed-tensors makes of them."""

import numpy as np
import pytest
import torch
from compressed_tensors.compressors.pack_quantized.helpers import (  # type: ignore[import-untyped]
    unpack_from_int32,
)

from services.registry.quantize.floats import Floats, encode_floats
from services.registry.quantize.integers import quantize_int4, quantize_int8
from tests.services.registry.quantize.weights import random_matrix, relative_error


def matrix(rows: int = 96, columns: int = 512) -> Floats:
    return random_matrix(rows, columns, "F32")


@pytest.mark.parametrize("group_size", [32, 128])
def test_four_bits_are_read_by_compressed_tensors_as_they_were_meant(group_size: int) -> None:
    weights = matrix()
    packed, scales = quantize_int4(weights, group_size, "BF16")
    read = unpack_from_int32(torch.from_numpy(packed), 4, torch.Size(weights.shape)).numpy()
    repeated = np.repeat(scales, group_size, axis=1)
    assert (read == np.clip(np.rint(weights / repeated), -8, 7)).all()
    assert read.min() == -8
    assert read.max() == 7


@pytest.mark.parametrize(("group_size", "part"), [(32, 0.96), (128, 0.94)])
def test_scales_are_better_than_those_of_the_largest_weight(group_size: int, part: float) -> None:
    weights = matrix()
    groups = weights.reshape(-1, group_size)
    naive = np.abs(groups).max(axis=1, keepdims=True) / 7.5
    plain = np.clip(np.rint(groups / naive), -8, 7) * naive
    packed, scales = quantize_int4(weights, group_size, "F32")
    read = unpack_from_int32(torch.from_numpy(packed), 4, torch.Size(weights.shape)).numpy()
    restored = read * np.repeat(scales, group_size, axis=1)
    bound = part * relative_error(plain, groups)
    assert relative_error(restored, weights) < bound


def test_eight_bits() -> None:
    weights = matrix()
    integers, scales = quantize_int8(weights, "BF16")
    assert relative_error(integers * scales, weights) < 0.013
    steps = np.abs(weights / scales).max(axis=1)
    assert (steps > 126).all()


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_scales_lose_nothing_when_they_are_stored(dtype: str) -> None:
    for _, scales in (quantize_int4(matrix(), 32, dtype), quantize_int8(matrix(), dtype)):
        kind = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[dtype]
        stored = torch.frombuffer(bytearray(encode_floats(scales, dtype)), dtype=kind)
        assert (stored.float().numpy() == scales.ravel()).all()


@pytest.mark.parametrize("value", [0.0, 1e-30, -1e-30])
def test_weights_that_are_all_but_nothing(value: float) -> None:
    weights = np.full((32, 64), value, np.float32)
    packed, scales = quantize_int4(weights, 32, "F16")
    integers, _ = quantize_int8(weights, "F16")
    assert (packed.view(np.uint32) == 0x88888888).all()
    assert not integers.any()
    assert (scales > 0).all()
