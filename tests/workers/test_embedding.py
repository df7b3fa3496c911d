import math

import pytest

from common.errors import InvalidRequest
from tests.workers.fakes import LetterTokenizer
from workers.embedding import shape, tokenize


@pytest.mark.parametrize(
    ("vector", "dimensions", "normalize", "expected"),
    [
        ([3.0, 4.0], 0, False, [3.0, 4.0]),
        ([3.0, 4.0], 0, True, [0.6, 0.8]),
        ([3.0, 4.0, 12.0], 2, True, [0.6, 0.8]),
        ([3.0, 4.0, 12.0], 2, False, [3.0, 4.0]),
        ([3.0, 4.0], 2, True, [0.6, 0.8]),
        ([3.0, 4.0], 9, True, [0.6, 0.8]),
        ([0.0, 0.0], 0, True, [0.0, 0.0]),
    ],
)
def test_shape(
    vector: list[float], dimensions: int, normalize: bool, expected: list[float]
) -> None:
    assert shape(vector, dimensions, normalize) == pytest.approx(expected)


def test_a_vector_without_sense() -> None:
    with pytest.raises(InvalidRequest, match="NaN or Inf"):
        shape([1.0, math.nan], 0, True)


def test_truncation() -> None:
    tokenizer = LetterTokenizer()
    assert len(tokenize(tokenizer, "abc", truncate=False, context_length=3)) == 3
    assert len(tokenize(tokenizer, "abcd", truncate=True, context_length=3)) == 3
    with pytest.raises(InvalidRequest, match="the input length exceeds the context length"):
        tokenize(tokenizer, "abcd", truncate=False, context_length=3)
