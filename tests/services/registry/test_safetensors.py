import json
import time
from typing import Any

import pytest

from common.errors import InvalidModel
from services.registry.safetensors import parse_header, parse_header_length


def header(**tensors: Any) -> bytes:
    return json.dumps(tensors).encode()


def tensor(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def parse(content: bytes, data_size: int) -> list[tuple[str, str, tuple[int, ...]]]:
    found = parse_header(content, 8 + len(content) + data_size)
    return [(item.name, item.dtype, item.shape) for item in found]


def test_tensors_are_read_in_the_order_of_the_file() -> None:
    content = header(
        __metadata__={"format": "pt"},
        b=tensor("BF16", [2, 3], 4, 16),
        a=tensor("F32", [1], 0, 4),
        scalar=tensor("U8", [], 16, 17),
        empty=tensor("F16", [0, 4], 17, 17),
        packed=tensor("F4", [4], 17, 19),
    )
    assert parse(content, 19) == [
        ("b", "BF16", (2, 3)),
        ("a", "F32", (1,)),
        ("scalar", "U8", ()),
        ("empty", "F16", (0, 4)),
        ("packed", "F4", (4,)),
    ]


@pytest.mark.parametrize(
    ("content", "data_size", "message"),
    [
        (b"[]", 0, "not a JSON object"),
        (b"{", 0, "damaged safetensors header"),
        (header(**{str(n): 0 for n in range(131_073)}), 0, "131073 tensors"),
        (header(a={"dtype": "F32"}), 0, "tensor a: shape is missing"),
        (header(a=tensor("F32", [-1], 0, 4)), 4, "must be 0 or more"),
        (header(a=tensor("F33", [1], 0, 4)), 4, "unknown type F33"),
        (header(a=tensor("F32", [2], 0, 4)), 4, "tensor a is misplaced"),
        (header(**{"a." * 9999: tensor("F32", [1], 0, 4)}), 4, "a name of 19998 characters"),
        (header(a=tensor("F32", [1], 4, 8)), 8, "tensor a is misplaced"),
        (header(a=tensor("F32", [1], 0, 4), b=tensor("F32", [1], 2, 6)), 6, "b is misplaced"),
        (header(a=tensor("F32", [4], 0, 16)), 15, "truncated: 16 bytes of tensors"),
        (header(a=tensor("F32", [4], 0, 16)), 17, "1 bytes follow the last tensor"),
    ],
)
def test_damaged_headers(content: bytes, data_size: int, message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        parse(content, data_size)


@pytest.mark.parametrize("length", [b"9", b"18446744073709551615", b'""'])
def test_a_tensor_of_a_million_dimensions_takes_no_time(length: bytes) -> None:
    shape = b",".join([length] * 1_000_000)
    content = b'{"a":{"dtype":"U8","shape":[' + shape + b'],"data_offsets":[0,0]}}'
    start = time.process_time()
    with pytest.raises(InvalidModel, match="tensor a: shape"):
        parse(content, 0)
    assert time.process_time() - start < 0.5


def test_a_product_of_lengths_larger_than_any_file() -> None:
    with pytest.raises(InvalidModel, match="tensor a is misplaced"):
        parse(header(a=tensor("U8", [2**64 - 1] * 16, 0, 1)), 1)


@pytest.mark.parametrize(
    ("prefix", "size", "message"),
    [
        (b"", 0, "too short"),
        (b"1234567", 7, "too short"),
        ((100_000_001).to_bytes(8, "little"), 10**12, "header is too large"),
        ((100).to_bytes(8, "little"), 107, "truncated"),
    ],
)
def test_impossible_lengths(prefix: bytes, size: int, message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        parse_header_length(prefix, size)


def test_a_length_that_fits() -> None:
    assert parse_header_length((100).to_bytes(8, "little") + b"{", 108) == 100
