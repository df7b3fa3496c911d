"""The tensors of a GGUF file: what their types take, and whether they lie where they may."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from struct import Struct

from common.errors import InvalidModel
from services.registry.errors import UnreadKind
from services.registry.gguf.cursor import Cursor
from services.registry.gguf.values import quote, read_name

_MAX_DIMENSIONS = 4  # as in ggml
_MAX_NAME_SIZE = 1024  # ggml itself takes 64
_LARGEST = 2**63
_LAST_TYPE = 256  # there are 40, and the next ones will follow them

_UINT32, _UINT64 = Struct("<I"), Struct("<Q")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file."""

    name: str
    dtype: str
    """ggml's name of the type, such as "Q4_K"."""

    shape: tuple[int, ...]
    """As GGUF has it: the length of a row comes first."""

    offset: int
    """Bytes from where the tensors begin."""

    size: int
    """Bytes that it takes."""

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


def read_tensors(cursor: Cursor, count: int) -> Iterator[Tensor]:
    """Read so many descriptions of tensors.

    Raises:
        Incomplete: more of the file has to be read first.
        UnreadKind: one is of a type that is not known.
        InvalidModel: one is damaged.
    """
    types = _types()
    for _ in range(count):
        name = read_name(cursor, _MAX_NAME_SIZE)
        dimensions = int(cursor.number(_UINT32))
        if dimensions > _MAX_DIMENSIONS:
            raise InvalidModel(f"tensor {quote(name)} has {dimensions} dimensions")
        shape = tuple(int(length) for length in cursor.numbers(_UINT64, dimensions))
        kind = int(cursor.number(_UINT32))
        if kind not in types:
            error = UnreadKind if kind < _LAST_TYPE else InvalidModel
            raise error(f"tensor {quote(name)} has the unknown type {kind}")
        dtype, block, block_size = types[kind]
        if prod(shape) >= _LARGEST:
            raise InvalidModel(f"tensor {quote(name)} is impossibly large")
        if shape and shape[0] % block:
            raise InvalidModel(f"tensor {quote(name)} has rows that are no blocks of {dtype}")
        size = prod(shape) // block * block_size if shape else block_size
        yield Tensor(name, dtype, shape, int(cursor.number(_UINT64)), size)


def check_places(tensors: Collection[Tensor], alignment: int, room: int) -> None:
    """Hold tensors to lie one behind the other within `room` bytes.

    Raises:
        InvalidModel: one begins between two multiples of `alignment`, within another, or
            ends outside.
    """
    position = 0
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.size)):
        if tensor.offset % alignment or tensor.offset < position:
            raise InvalidModel(f"damaged GGUF header: tensor {quote(tensor.name)} is misplaced")
        position = tensor.offset + tensor.size
    if position > room:
        raise InvalidModel(f"truncated: {position} bytes of tensors expected, {room} found")


def main_type(tensors: Collection[Tensor]) -> str:
    """Name the type that takes most of the bytes."""
    sizes: dict[str, int] = {}
    for tensor in tensors:
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.size
    return max(sizes, key=lambda dtype: sizes[dtype], default="")


@cache
def _types() -> Mapping[int, tuple[str, int, int]]:
    """Give the name of each type, the numbers in a block, and the bytes that it takes."""
    # A second of a processor, which need not be taken before there is a GGUF file.
    from gguf.constants import GGML_QUANT_SIZES

    return {int(kind): (kind.name, *sizes) for kind, sizes in GGML_QUANT_SIZES.items()}
