"""The header of a GGUF file, taken apart so that it can be written again byte for byte."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from gguf.constants import GGMLQuantizationType

from services.registry.gguf.cursor import MAX_HEADER_SIZE, Cursor, Incomplete
from services.registry.gguf.header import MAGIC, parse_header
from services.registry.gguf.tensors import Tensor, read_tensors
from services.registry.gguf.values import read_entries
from services.registry.quantize.source import Source

_FIRST_READ = 1024 * 1024
_GROWTH = 4

_START = struct.Struct("<4sIQQ")  # magic, version, how many tensors, how many keys
_DEFAULT_ALIGNMENT = 32
_UINT32 = 4  # as a type of metadata


@dataclass(frozen=True)
class GgufHeader:
    """All that comes before the tensors' data."""

    version: int
    entries: Mapping[str, bytes]
    """Of each of the metadata all bytes: key, type and value."""

    tensors: tuple[Tensor, ...]
    alignment: int
    """What the data of each tensor begins at a multiple of, in bytes."""

    data_begin: int


async def read_gguf_header(source: Source) -> GgufHeader:
    """Read a file's header.

    Raises:
        InvalidModel: it is damaged, or none of GGUF.
    """
    length = min(_FIRST_READ, source.size)
    while True:
        data = await source.read(0, length)
        try:
            return _take_apart(data, source.size)
        except Incomplete as incomplete:
            most = min(source.size, MAX_HEADER_SIZE)
            length = max(incomplete.needed, min(_GROWTH * length, most))


def write_gguf_header(header: GgufHeader, numbers: Mapping[str, int]) -> bytes:
    """Write a header, with some numbers of the metadata set, up to the data."""
    entries = {**header.entries, **{key: _entry(key, value) for key, value in numbers.items()}}
    parts = [_START.pack(MAGIC, header.version, len(header.tensors), len(entries))]
    parts += entries.values()
    for tensor in header.tensors:
        kind = GGMLQuantizationType[tensor.dtype]
        parts.append(_text(tensor.name))
        parts.append(struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape))
        parts.append(struct.pack("<IQ", kind, tensor.offset))
    content = b"".join(parts)
    return content + bytes(-len(content) % header.alignment)


def _take_apart(data: bytes, file_size: int) -> GgufHeader:
    header = parse_header(data, file_size, lambda _: False)
    _, version, tensor_count, entry_count = _START.unpack_from(data)
    cursor = Cursor(data, file_size)
    cursor.skip(_START.size)
    entries = {}
    begin = cursor.position
    for key, _ in read_entries(cursor, entry_count, lambda _: False):
        entries[key] = data[begin : cursor.position]
        begin = cursor.position
    tensors = tuple(read_tensors(cursor, tensor_count))
    alignment = int(str(header.metadata.get("general.alignment", _DEFAULT_ALIGNMENT)))
    data_begin = cursor.position + -cursor.position % alignment
    return GgufHeader(version, entries, tensors, alignment, data_begin)


def _entry(key: str, number: int) -> bytes:
    return _text(key) + struct.pack("<II", _UINT32, number)


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content
