"""The weights of a model: what each tensor of a GGUF file becomes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import ml_dtypes
import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from common.errors import InvalidModel
from workers.gguf import rotation
from workers.gguf.families import Family
from workers.gguf.reader import GgufTensor
from workers.gguf.source import GgufSource

_LAYER = re.compile(r"blk\.(\d+)\.(.+)")
# They became numbers in the configuration.
_IN_CONFIG = {rotation.FACTORS, rotation.LONG_FACTORS, rotation.SHORT_FACTORS}
# Of the part that sees, which some files have beside the text's.
_OF_VISION = ("v.", "mm.")

_FLOATS = {
    GGMLQuantizationType.F32: "float32",
    GGMLQuantizationType.F16: "float16",
    GGMLQuantizationType.BF16: "bfloat16",
}
TYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}

_PIECE = 4 << 20  # values that are dequantised at once


@dataclass(frozen=True)
class Weight:
    """One tensor of the result: some rows of one in the file, in their order there or another."""

    name: str
    shape: tuple[int, ...]
    source: GgufTensor
    rows: "slice | NDArray[np.int64]"
    shift: float = 0.0

    def size(self, dtype: str) -> int:
        """Bytes of its values in a type."""
        return prod(self.shape) * TYPES[dtype].itemsize

    def pieces(self, dtype: str) -> Iterator[NDArray[Any]]:
        """Give its values in order, some at a time."""
        columns = self.source.columns
        total = prod(self.shape) // columns
        step = max(_PIECE // columns, 1)
        for first in range(0, total, step):
            last = min(first + step, total)
            values = self.source.values(self._part(first, last))
            if self.shift:
                values = values - np.float32(self.shift)
            yield np.ascontiguousarray(values.astype(TYPES[dtype], copy=False))

    def _part(self, first: int, last: int) -> "slice | NDArray[np.int64]":
        if isinstance(self.rows, slice):
            return slice(self.rows.start + first, self.rows.start + last)
        return self.rows[first:last]


def stored_type(source: GgufSource) -> str:
    """Choose the type of a model's weights.

    Half precision stays what it is. Quantised ones become bfloat16: it has the range of any
    scale that a block may have, and is what CPUs compute in.
    """
    kinds = {tensor.kind for tensor in source.tensors.values()}
    if kinds - _FLOATS.keys():
        return "bfloat16"
    halves = sorted(_FLOATS[kind] for kind in kinds - {GGMLQuantizationType.F32})
    return halves[0] if halves else "float32"


def list_weights(source: GgufSource, family: Family, config: dict[str, Any]) -> list[Weight]:
    """List what a model's weights become.

    Raises:
        InvalidModel: the file has a tensor that the family has no name for.
    """
    weights: list[Weight] = []
    for name, tensor in source.tensors.items():
        if name not in _IN_CONFIG and not name.startswith(_OF_VISION):
            weights += _translate(tensor, family, config)
    return weights


def _translate(tensor: GgufTensor, family: Family, config: dict[str, Any]) -> Iterator[Weight]:
    stem, _, suffix = tensor.name.rpartition(".")
    layer = _LAYER.fullmatch(stem)
    names, prefix = (family.layer, f"{family.layers}.{layer[1]}.") if layer else (family.model, "")
    own = layer[2] if layer else stem
    if layer and own in family.experts:
        yield from _experts(tensor, f"{prefix}{family.experts[own]}.{suffix}")
    elif own in names:
        name = f"{prefix}{names[own]}.{suffix}"
        shift = family.norm_shift if own.endswith("norm") else 0.0
        yield Weight(name, tensor.shape, tensor, _row_order(tensor, own, family, config), shift)
    else:
        raise InvalidModel(f"the GGUF file has a tensor that is not known: {tensor.name}")


def _row_order(
    tensor: GgufTensor, own: str, family: Family, config: dict[str, Any]
) -> "slice | NDArray[np.int64]":
    heads = {
        "attn_q": config.get("num_attention_heads"),
        "attn_k": config.get("num_key_value_heads"),
    }.get(own)
    if not heads or not family.paired:
        return slice(0, tensor.row_count)
    return _unpaired(tensor.row_count, heads)


def _unpaired(rows: int, heads: int) -> NDArray[np.int64]:
    """Give the order that brings the halves of each head together again."""
    return np.arange(rows).reshape(heads, rows // heads // 2, 2).swapaxes(1, 2).ravel()


def _experts(tensor: GgufTensor, pattern: str) -> Iterator[Weight]:
    count, rows, columns = tensor.shape
    for expert in range(count):
        part = slice(expert * rows, (expert + 1) * rows)
        yield Weight(pattern.format(expert), (rows, columns), tensor, part)
