"""The names of types."""

import pytest

from common.errors import InvalidRequest
from services.registry.quantize.file_type import FileType, parse_file_type


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("q4_K_M", FileType.Q4_K_M),
        ("Q4_K", FileType.Q4_K_M),
        ("q4_k_s", FileType.Q4_K_S),
        (" q8_0 ", FileType.Q8_0),
        ("f16", FileType.F16),
        ("BF16", FileType.BF16),
        ("F32", FileType.F32),
    ],
)
def test_names_in_any_case(text: str, expected: FileType) -> None:
    assert parse_file_type(text) is expected


@pytest.mark.parametrize("text", ["q4_0", "q5_K_M", "int4", "", "W4A16"])
def test_others_are_refused_with_a_list(text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_file_type(text)
    assert refusal.value.message == (
        f"unsupported quantization type {text.upper()} - "
        "supported types are F32, F16, BF16, Q4_K_S, Q4_K_M (or Q4_K), Q8_0"
    )
