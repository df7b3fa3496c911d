"""Headers of GGUF files, versions 2 and 3: metadata, and where which tensor lies.

Nothing in a file is believed: every count and length has a limit, and what a limit allows
is bounded by the bytes that are there.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct

from common.errors import InvalidModel
from services.registry.errors import UnreadKind
from services.registry.gguf.cursor import Cursor, Incomplete
from services.registry.gguf.tensors import Tensor, check_places, read_tensors
from services.registry.gguf.values import Value, quote, read_entries

MAGIC = b"GGUF"
NOT_GGUF = "supplied file was not in GGUF format"

_BIG_ENDIAN_MAGIC = b"FUGG"
_VERSIONS = (2, 3)
_LAST_VERSION = 15  # that may be one some day
_MAX_KEYS = 65_536
_MAX_TENSORS = 131_072  # the largest mixtures of experts have some thousands
_ALIGNMENT = 32
_MAX_ALIGNMENT = 1024 * 1024

_UINT32, _COUNTS = Struct("<I"), Struct("<Q")


@dataclass(frozen=True)
class Header:
    """What comes before the weights."""

    metadata: Mapping[str, Value]
    tensors: tuple[Tensor, ...]


def is_gguf(start: bytes) -> bool:
    """Tell whether a file that begins with these bytes is GGUF of any kind."""
    return start.startswith((MAGIC, _BIG_ENDIAN_MAGIC))


def parse_header(data: bytes, file_size: int, keeps: Callable[[str], bool]) -> Header:
    """Read a header from the first bytes of a file; blocks.

    Args:
        data: so many bytes of the file as were read.
        file_size: bytes of the whole file.
        keeps: whether the values of an array are wanted, given its key.

    Raises:
        Incomplete: more of the file has to be read first.
        UnreadKind: it is of a kind that is not read.
        InvalidModel: it is damaged, or cut off.
    """
    cursor = Cursor(data, file_size)
    tensor_count, key_count = _read_counts(cursor)
    metadata: dict[str, Value] = {}
    for key, value in read_entries(cursor, key_count, keeps):
        if key in metadata:
            raise InvalidModel(f"damaged GGUF header: {quote(key)} is there twice")
        metadata[key] = value
    tensors = {}
    for tensor in read_tensors(cursor, tensor_count):
        if tensor.name in tensors:
            problem = f"tensor {quote(tensor.name)} is there twice"
            raise InvalidModel(f"damaged GGUF header: {problem}")
        tensors[tensor.name] = tensor
    alignment = _alignment(metadata)
    begin = -(-cursor.position // alignment) * alignment
    check_places(tensors.values(), alignment, max(file_size - begin, 0))
    return Header(metadata, tuple(tensors.values()))


def parse_start(data: bytes, file_size: int) -> dict[str, Value]:
    """Read the metadata that the first bytes of a file hold, which may be only a part of it.

    Raises:
        InvalidModel: it is damaged, or of a kind that is not read.
    """
    cursor = Cursor(data, file_size)
    metadata: dict[str, Value] = {}
    with suppress(Incomplete):
        _, count = _read_counts(cursor)
        metadata.update(read_entries(cursor, count, lambda _: False))
    return metadata


def _read_counts(cursor: Cursor) -> tuple[int, int]:
    """Read how many tensors and how many keys there are."""
    magic = cursor.take(len(MAGIC))
    if magic == _BIG_ENDIAN_MAGIC:
        raise UnreadKind("big-endian GGUF files are not read")
    if magic != MAGIC:
        raise InvalidModel(NOT_GGUF)
    version = int(cursor.number(_UINT32))
    if version and not version & 0xFFFF:
        raise UnreadKind("big-endian GGUF files are not read")
    if version not in _VERSIONS:
        kind = UnreadKind if version <= _LAST_VERSION else InvalidModel
        raise kind(f"GGUF version {version} is not read, only 2 and 3")
    tensors, keys = (int(cursor.number(_COUNTS)) for _ in range(2))
    if tensors > _MAX_TENSORS:
        raise InvalidModel(f"damaged GGUF header: {tensors} tensors")
    if keys > _MAX_KEYS:
        raise InvalidModel(f"damaged GGUF header: {keys} keys")
    return tensors, keys


def _alignment(metadata: Mapping[str, Value]) -> int:
    found = metadata.get("general.alignment", _ALIGNMENT)
    if not isinstance(found, int) or not 0 < found <= _MAX_ALIGNMENT or found & (found - 1):
        raise InvalidModel("damaged GGUF header: the alignment is no power of two")
    return found
