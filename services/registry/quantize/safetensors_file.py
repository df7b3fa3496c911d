"""Quantising a safetensors file: from one blob to another, in one pass.

The size of every tensor follows from shapes, so that the header can be written first and
nothing is kept but the scales of one layer.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from services.registry.errors import in_file
from services.registry.quantize.file_type import FileType
from services.registry.quantize.floats import FLOAT_SIZES, Floats, encode_floats
from services.registry.quantize.integers import quantize_int4, quantize_int8
from services.registry.quantize.output import Output
from services.registry.quantize.pipeline import Matrix, convert_rows
from services.registry.quantize.scheme import Scheme
from services.registry.quantize.source import Source
from services.registry.safetensors import (
    LENGTH_SIZE,
    Tensor,
    parse_header,
    parse_header_length,
)

_ALIGNMENT = 8


@dataclass(frozen=True)
class FilePlan:
    """What becomes of each tensor of a file."""

    tensors: tuple[Tensor, ...]
    file_type: FileType
    layers: frozenset[str]
    scheme: Scheme

    def outputs(self) -> list[Tensor]:
        """Name the tensors of the new file, in the order of their bytes."""
        return [output for tensor in self.ordered() for output in self.made_of(tensor)]

    def ordered(self) -> Sequence[Tensor]:
        """Order the tensors so that all made of them are aligned.

        What quantised layers become are multiples of 16 bytes; behind these come the others,
        with the widest numbers first.
        """
        return sorted(self.tensors, key=lambda it: (not self.quantizes(it), -self._width(it)))

    def quantizes(self, tensor: Tensor) -> bool:
        """Tell whether a tensor becomes integers."""
        return tensor.name in self.layers

    def made_of(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Name what a tensor becomes."""
        if self.quantizes(tensor):
            return self.scheme.outputs(tensor)
        return (Tensor(tensor.name, self.dtype_of(tensor), tensor.shape),)

    def dtype_of(self, tensor: Tensor) -> str:
        """Give the type of a tensor that is not quantised."""
        if self.file_type.is_float and tensor.dtype in FLOAT_SIZES:
            return self.file_type
        return tensor.dtype

    def _width(self, tensor: Tensor) -> int:
        output = self.made_of(tensor)[0]
        return output.bits // output.elements if output.elements else 0


async def convert_safetensors(
    source: Source,
    file_type: FileType,
    layers: frozenset[str],
    scheme: Scheme,
    progress: Callable[[int], None],
) -> Output:
    """Bring a file's weights to another type.

    Args:
        source: the file.
        file_type: what all other weights become, where it is one of floating-point numbers.
        layers: the tensors that are quantised, by name.
        scheme: how.
        progress: is told how many bytes of the source are done with.

    Raises:
        InvalidModel: the file is damaged.
    """
    prefix = await source.read(0, min(LENGTH_SIZE, source.size))
    length = parse_header_length(prefix, source.size)
    header = await source.read(LENGTH_SIZE, length)
    plan = FilePlan(parse_header(header, source.size), file_type, layers, scheme)
    outputs = plan.outputs()
    start = _write_header(outputs, orjson.loads(header).get("__metadata__"))
    size = len(start) + sum(tensor.bits for tensor in outputs) // 8
    return Output(size, _pieces(source, LENGTH_SIZE + length, plan, start, progress))


def _write_header(tensors: Sequence[Tensor], metadata: Any) -> bytes:
    """Write the header of a file that holds these tensors, in this order."""
    document: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    position = 0
    for tensor in tensors:
        end = position + tensor.bits // 8
        document[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": (position, end),
        }
        position = end
    text = orjson.dumps(document)
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(LENGTH_SIZE, "little") + text


async def _pieces(
    source: Source, data_begin: int, plan: FilePlan, start: bytes, progress: Callable[[int], None]
) -> AsyncIterator[bytes]:
    yield start
    for tensor in plan.ordered():
        with in_file(tensor.name):
            offset = data_begin + tensor.begin
            if plan.quantizes(tensor):
                rows, columns = tensor.shape
                matrix = Matrix(offset, rows, columns, tensor.dtype)
                pieces = _quantized(source, matrix, plan.scheme, progress)
            elif plan.dtype_of(tensor) != tensor.dtype:
                flat = Matrix(offset, tensor.elements, 1, tensor.dtype)
                pieces = _recoded(source, flat, plan.dtype_of(tensor), progress)
            else:
                pieces = _copied(source, offset, tensor.bits // 8, progress)
            async for piece in pieces:
                yield piece


async def _quantized(
    source: Source, matrix: Matrix, scheme: Scheme, progress: Callable[[int], None]
) -> AsyncIterator[bytes]:
    def quantize(rows: Floats) -> tuple[bytes, bytes]:
        if scheme.group_size:
            packed, scales = quantize_int4(rows, scheme.group_size, matrix.dtype)
            return packed.tobytes(), encode_floats(scales, matrix.dtype)
        integers, scales = quantize_int8(rows, matrix.dtype)
        return integers.tobytes(), encode_floats(scales, matrix.dtype)

    all_scales = bytearray()
    async with aclosing(convert_rows(source, matrix, quantize, progress)) as results:
        async for weights, scales in results:
            all_scales += scales
            yield weights
    yield bytes(all_scales)
    if scheme.group_size:
        yield np.array([matrix.rows, matrix.columns], "<i8").tobytes()


async def _recoded(
    source: Source, matrix: Matrix, dtype: str, progress: Callable[[int], None]
) -> AsyncIterator[bytes]:
    def encode(rows: Floats) -> bytes:
        return encode_floats(rows, dtype)

    async with aclosing(convert_rows(source, matrix, encode, progress)) as results:
        async for piece in results:
            yield piece


async def _copied(
    source: Source, offset: int, size: int, progress: Callable[[int], None]
) -> AsyncIterator[bytes]:
    async for piece in source.pieces(offset, size):
        yield piece
        progress(len(piece))
