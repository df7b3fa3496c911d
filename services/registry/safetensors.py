"""Headers of safetensors files (huggingface.co/docs/safetensors: the format).

Eight bytes give the header's length, little-endian; the header is a JSON object from
tensor names to type, shape and place; the rest of the file is the tensors' bytes,
without holes.
"""

from dataclasses import dataclass, field
from math import prod
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from common.errors import InvalidModel
from services.registry.documents import first_problem, not_json

LENGTH_SIZE = 8
MAX_HEADER_SIZE = 25_000_000
_MAX_DIMENSIONS = 16
_MAX_NAME_SIZE = 1024
_MAX_TENSORS = 131_072  # of one file; the largest mixtures of experts have some thousands

_BITS = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
    "C64": 64,
}

_Natural = Annotated[int, Field(ge=0, strict=True)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    dtype: str
    shape: Annotated[tuple[_Natural, ...], Field(max_length=_MAX_DIMENSIONS), FailFast()]
    data_offsets: tuple[_Natural, _Natural]


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int = field(default=0, compare=False)
    """Of its first byte in the file's data, which follows the header."""

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def bits(self) -> int:
        """Bits that it takes."""
        return self.elements * _BITS[self.dtype]


def parse_header_length(prefix: bytes, file_size: int) -> int:
    """Read a header's length from the first eight bytes of a file.

    Raises:
        InvalidModel: the length is impossible for a file of that size in bytes.
    """
    if len(prefix) < LENGTH_SIZE:
        raise InvalidModel("not a safetensors file: too short")
    length = int.from_bytes(prefix[:LENGTH_SIZE], "little")
    if length > MAX_HEADER_SIZE:
        raise InvalidModel("not a safetensors file: its header is too large")
    if LENGTH_SIZE + length > file_size:
        raise InvalidModel("truncated: the file ends within its header")
    return length


def parse_header(header: bytes, file_size: int) -> tuple[Tensor, ...]:
    """Read a header and check it against the file's size in bytes.

    Raises:
        InvalidModel: the header is damaged, or does not describe a file of that size.
    """
    entries = _parse_entries(header)
    _check_places(entries, file_size - LENGTH_SIZE - len(header))
    return tuple(
        Tensor(name, entry.dtype, entry.shape, entry.data_offsets[0])
        for name, entry in entries.items()
    )


def _parse_entries(header: bytes) -> dict[str, _Entry]:
    try:
        document = orjson.loads(header)
    except orjson.JSONDecodeError as error:
        raise InvalidModel(f"damaged safetensors header: {not_json(error)}") from error
    if not isinstance(document, dict):
        raise InvalidModel("damaged safetensors header: not a JSON object")
    document.pop("__metadata__", None)
    if len(document) > _MAX_TENSORS:
        raise InvalidModel(f"damaged safetensors header: {len(document)} tensors")
    # One by one: validating a large header in one call would stop all other threads.
    return {name: _parse_entry(name, fields) for name, fields in document.items()}


def _parse_entry(name: str, fields: object) -> _Entry:
    if len(name) > _MAX_NAME_SIZE:
        raise InvalidModel(f"damaged safetensors header: a name of {len(name)} characters")
    try:
        return _Entry.model_validate(fields)
    except ValidationError as error:
        problem = f"tensor {name}: {first_problem(error)}"
        raise InvalidModel(f"damaged safetensors header: {problem}") from error


def _check_places(entries: dict[str, _Entry], data_size: int) -> None:
    """Hold the tensors to lie one behind the other from the first byte to the last."""
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        begin, end = entry.data_offsets
        if entry.dtype not in _BITS:
            raise InvalidModel(f"tensor {name} has the unknown type {entry.dtype}")
        if begin != position or (end - begin) * 8 != prod(entry.shape) * _BITS[entry.dtype]:
            raise InvalidModel(f"damaged safetensors header: tensor {name} is misplaced")
        position = end
    if position > data_size:
        raise InvalidModel(f"truncated: {position} bytes of tensors expected, {data_size} found")
    if position < data_size:
        raise InvalidModel(f"{data_size - position} bytes follow the last tensor")
