"""Reading one GGUF file: metadata at once, tensors when they are looked into.

The format: github.com/ggml-org/ggml, docs/gguf.md. The `gguf` package's own reader takes a
quarter of a minute and more than a gigabyte for a large vocabulary.
"""

import mmap
import struct
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType, dequantize
from numpy.typing import NDArray

from common.errors import InvalidModel
from workers.gguf.memory import LONGEST_ROW

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_ALIGNMENT = 32
_MOST_DIMENSIONS = 4

_NUMBERS = {
    GGUFValueType.UINT8: "B",
    GGUFValueType.INT8: "b",
    GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h",
    GGUFValueType.UINT32: "I",
    GGUFValueType.INT32: "i",
    GGUFValueType.FLOAT32: "f",
    GGUFValueType.BOOL: "?",
    GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q",
    GGUFValueType.FLOAT64: "d",
}
# Types whose values are not in blocks.
_PLAIN: dict[GGMLQuantizationType, np.dtype[Any]] = {
    GGMLQuantizationType.F32: np.dtype("<f4"),
    GGMLQuantizationType.F16: np.dtype("<f2"),
    GGMLQuantizationType.F64: np.dtype("<f8"),
}


class _Damaged(ValueError):
    """Says what is wrong with a file."""


@dataclass(frozen=True)
class GgufTensor:
    """A tensor in a file; its rows lie one after the other."""

    name: str
    shape: tuple[int, ...]
    """As torch counts: the last dimension's values lie beside each other."""

    kind: GGMLQuantizationType
    data: memoryview

    @property
    def size(self) -> int:
        """Bytes that it takes in the file."""
        return len(self.data)

    @property
    def columns(self) -> int:
        """Values in a row; a vector has rows of one, unless its values are in blocks."""
        block = GGML_QUANT_SIZES[self.kind][0]
        return 1 if len(self.shape) == 1 and block == 1 else self.shape[-1]

    @property
    def row_count(self) -> int:
        """Number of its rows, all dimensions but the last taken together."""
        return prod(self.shape) // self.columns

    @cached_property
    def rows(self) -> NDArray[Any]:
        """Its rows as they are stored."""
        data: NDArray[Any] = np.frombuffer(self.data, np.uint8)
        if plain := _PLAIN.get(self.kind):
            return data.view(plain).reshape(-1, self.columns)
        return data.reshape(-1, _row_size(self.kind, self.columns))

    def values(self, rows: "slice | NDArray[np.int64]") -> NDArray[Any]:
        """Give some rows' values; those of quantised types as 32-bit floats."""
        chosen = self.rows[rows]
        if self.kind in _PLAIN:
            return chosen
        values: NDArray[Any] = dequantize(np.ascontiguousarray(chosen), self.kind)
        return values


class GgufFile:
    """An open GGUF file."""

    def __init__(self, path: Path) -> None:
        """Read the metadata and the list of tensors.

        Raises:
            InvalidModel: it is not GGUF, is cut off, or contradicts itself.
        """
        self.metadata: dict[str, Any] = {}
        self.tensors: list[GgufTensor] = []
        try:
            with path.open("rb") as file:
                self._data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            self._read()
        except (struct.error, ValueError, OverflowError) as error:
            reason = str(error) if isinstance(error, _Damaged) else "its header is damaged"
            raise InvalidModel(f"{path.name} is not a whole GGUF file: {reason}") from error

    def _read(self) -> None:
        self._position = 0
        if bytes(self._take(4)) != _MAGIC:
            raise _Damaged("it does not begin as one")
        version, tensors, keys = self._unpack("IQQ")
        if version not in _VERSIONS:
            raise _Damaged(f"its version {version} is not known")
        for _ in range(keys):
            key = self._string()
            self.metadata[key] = self._value(GGUFValueType(self._unpack("I")[0]))
        headers = [self._tensor_header() for _ in range(tensors)]
        alignment = int(self.metadata.get("general.alignment", _ALIGNMENT))
        if alignment <= 0:
            raise _Damaged("its alignment is wrong")
        start = -(-self._position // alignment) * alignment
        self.tensors = [self._tensor(start, *header) for header in headers]

    def _tensor_header(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        (dimensions,) = self._unpack("I")
        if not 0 < dimensions <= _MOST_DIMENSIONS:
            raise _Damaged(f"{name} has {dimensions} dimensions")
        shape = self._unpack(f"{dimensions}Q")
        kind, offset = self._unpack("IQ")
        return name, tuple(reversed(shape)), kind, offset

    def _tensor(
        self, start: int, name: str, shape: tuple[int, ...], kind: int, offset: int
    ) -> GgufTensor:
        try:
            known = GGMLQuantizationType(kind)
        except ValueError:
            raise _Damaged(f"{name} has the unknown type {kind}") from None
        size = prod(shape[:-1]) * _row_size(known, shape[-1])
        if shape[-1] > LONGEST_ROW:
            raise _Damaged(f"{name} has rows of {shape[-1]} values")
        if start + offset + size > len(self._data):
            raise _Damaged(f"{name} lies beyond its end")
        return GgufTensor(name, shape, known, self._data[start + offset : start + offset + size])

    def _value(self, kind: GGUFValueType) -> Any:
        if kind is GGUFValueType.STRING:
            return self._string()
        if kind is not GGUFValueType.ARRAY:
            return self._unpack(_NUMBERS[kind])[0]
        element, count = self._unpack("IQ")
        element = GGUFValueType(element)
        if element in _NUMBERS:
            return self._numbers(_NUMBERS[element], count)
        return [self._value(element) for _ in range(count)]

    def _numbers(self, code: str, count: int) -> list[Any]:
        packed = self._take(struct.calcsize(f"<{code}") * count)
        return [value for (value,) in struct.iter_unpack(f"<{code}", packed)]

    def _string(self) -> str:
        (length,) = self._unpack("Q")
        return str(self._take(length), "utf-8", "replace")

    def _unpack(self, codes: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{codes}", self._take(struct.calcsize(f"<{codes}")))

    def _take(self, size: int) -> memoryview:
        end = self._position + size
        if end > len(self._data):
            raise _Damaged("it ends too early")
        taken = self._data[self._position : end]
        self._position = end
        return taken


def _row_size(kind: GGMLQuantizationType, columns: int) -> int:
    block, size = GGML_QUANT_SIZES[kind]
    if columns % block:
        raise _Damaged(f"rows of {columns} values are no blocks of {block}")
    return columns // block * size
