"""Quantising a GGUF file: from one blob to another, in one pass.

Metadata are written as they came, except for the two that tell the type of the weights.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from math import prod

from gguf.constants import (
    GGML_QUANT_SIZES,
    GGML_QUANT_VERSION,
    GGMLQuantizationType,
    LlamaFileType,
)

from services.registry.errors import in_file
from services.registry.gguf.tensors import Tensor
from services.registry.quantize.file_type import FLOATS, FileType
from services.registry.quantize.floats import Floats, encode_floats
from services.registry.quantize.ggml import quantize_blocks
from services.registry.quantize.gguf_header import (
    GgufHeader,
    read_gguf_header,
    write_gguf_header,
)
from services.registry.quantize.output import Output
from services.registry.quantize.pipeline import Matrix, convert_rows
from services.registry.quantize.source import Source

_FILE_TYPES = {
    FileType.F32: LlamaFileType.ALL_F32,
    FileType.F16: LlamaFileType.MOSTLY_F16,
    FileType.BF16: LlamaFileType.MOSTLY_BF16,
    FileType.Q8_0: LlamaFileType.MOSTLY_Q8_0,
    FileType.Q4_K_S: LlamaFileType.MOSTLY_Q4_K_S,
    FileType.Q4_K_M: LlamaFileType.MOSTLY_Q4_K_M,
}


async def convert_gguf(
    source: Source,
    wanted: FileType,
    types: Mapping[str, str],
    progress: Callable[[int], None],
) -> Output:
    """Bring a file's weights to another type.

    Args:
        source: the file.
        wanted: the type of the whole.
        types: the new type of each tensor that changes, by name.
        progress: is told how many bytes of the source are done with.

    Raises:
        InvalidModel: it is damaged.
    """
    header = await read_gguf_header(source)
    changed = _with_types(header, types)
    # Of several shards, the first alone says what the model is.
    numbers = _numbers(wanted) if "general.architecture" in header.entries else {}
    start = write_gguf_header(changed, numbers)
    last = changed.tensors[-1] if changed.tensors else None
    size = len(start) + (_aligned(last.offset + last.size, header.alignment) if last else 0)
    return Output(size, _pieces(source, header, changed, start, progress))


def _numbers(wanted: FileType) -> dict[str, int]:
    return {
        "general.file_type": int(_FILE_TYPES[wanted]),
        "general.quantization_version": GGML_QUANT_VERSION,
    }


def _with_types(header: GgufHeader, types: Mapping[str, str]) -> GgufHeader:
    """Give tensors their new types, and the places that follow from these."""
    tensors = []
    offset = 0
    for tensor in header.tensors:
        dtype = types.get(tensor.name, tensor.dtype)
        size = _size(tensor, dtype) if dtype != tensor.dtype else tensor.size
        tensors.append(replace(tensor, dtype=dtype, offset=offset, size=size))
        offset += _aligned(size, header.alignment)
    return replace(header, tensors=tuple(tensors))


async def _pieces(
    source: Source,
    header: GgufHeader,
    changed: GgufHeader,
    start: bytes,
    progress: Callable[[int], None],
) -> AsyncIterator[bytes]:
    yield start
    for old, new in zip(header.tensors, changed.tensors, strict=True):
        begin = header.data_begin + old.offset
        with in_file(old.name):
            if old.dtype == new.dtype:
                pieces = _copied(source, begin, old.size, progress)
            else:
                pieces = _converted(source, begin, old, new.dtype, progress)
            async for piece in pieces:
                yield piece
        yield bytes(-new.size % header.alignment)


async def _copied(
    source: Source, begin: int, size: int, progress: Callable[[int], None]
) -> AsyncIterator[bytes]:
    async for piece in source.pieces(begin, size):
        yield piece
        progress(len(piece))


async def _converted(
    source: Source, begin: int, tensor: Tensor, dtype: str, progress: Callable[[int], None]
) -> AsyncIterator[bytes]:
    def convert(rows: Floats) -> bytes:
        if dtype in FLOATS:
            return encode_floats(rows, dtype)
        return quantize_blocks(rows, GGMLQuantizationType[dtype])

    matrix = Matrix(begin, prod(tensor.shape[1:]), tensor.shape[0], tensor.dtype)
    async with aclosing(convert_rows(source, matrix, convert, progress)) as results:
        async for piece in results:
            yield piece


def _size(tensor: Tensor, dtype: str) -> int:
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[dtype]]
    return tensor.elements // block * size


def _aligned(size: int, alignment: int) -> int:
    return size + -size % alignment
