from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.workers.logits import reference
from workers.logits import truncation

# Far enough apart that no rounding decides between two.
LOGITS = st.lists(st.integers(-40, 40), min_size=2, max_size=20, unique=True).map(
    lambda values: sorted((value / 8 + 0.001 * value**2 for value in values), reverse=True)
)
SHARES = st.sampled_from([0.05, 0.31, 0.503, 0.7, 0.87, 0.951, 1.0])


def kept(function: Callable[[Tensor, Tensor], Tensor], logits: list[float], value: float) -> Any:
    result = function(torch.tensor([logits]), torch.tensor([[value]]))
    return [index for index, logit in enumerate(result[0].tolist()) if logit > truncation.OUT]


def expected(function: Callable[..., Any], logits: list[float], value: float) -> list[int]:
    return [token for token, _ in function(reference.candidates(logits), value)]


@given(LOGITS, st.integers(0, 25))
def test_top_k(logits: list[float], k: int) -> None:
    result = truncation.top_k(torch.tensor([logits]), torch.tensor([[k]]))
    assert int((result > truncation.OUT).sum()) == len(
        reference.top_k(reference.candidates(logits), k)
    )


@given(LOGITS, SHARES)
def test_top_p(logits: list[float], p: float) -> None:
    assert kept(truncation.top_p, logits, p) == expected(reference.top_p, logits, p)


@given(LOGITS, SHARES)
def test_typical_p(logits: list[float], p: float) -> None:
    assert kept(truncation.typical_p, logits, p) == expected(reference.typical_p, logits, p)


@given(LOGITS, st.sampled_from([0.0, 0.013, 0.11, 0.53, 0.99]))
def test_min_p(logits: list[float], p: float) -> None:
    assert kept(truncation.min_p, logits, p) == expected(reference.min_p, logits, p)


def test_typical_p_may_leave_the_likeliest_out() -> None:
    logits = [3.0, *[1.0 - index / 100 for index in range(50)]]
    assert 0 not in kept(truncation.typical_p, logits, 0.2)


@pytest.mark.parametrize(
    ("function", "value", "left"),
    [
        (truncation.top_k, 2, [0, 1, 2, 3]),
        (truncation.top_p, 0.6, [0, 1, 2, 3]),
        (truncation.typical_p, 0.3, [1, 2, 3]),
        (truncation.min_p, 0.9, [0, 1, 2, 3]),
    ],
)
def test_equals_at_the_border_all_stay(function: Any, value: float, left: list[int]) -> None:
    assert kept(function, [2.0, 1.99, 1.99, 1.99, -5.0], value) == left


@pytest.mark.parametrize(
    "function", [truncation.top_p, truncation.typical_p, truncation.min_p, truncation.top_k]
)
def test_what_was_left_out_before_stays_out_and_counts_for_nothing(function: Any) -> None:
    out = truncation.OUT
    whole = torch.tensor([[out, 3.0, 2.5, out, 2.0, -1.0, out, out]])
    value = torch.tensor([[2 if function is truncation.top_k else 0.55]])
    if function is truncation.top_k:
        whole = whole.sort(descending=True).values
    result = function(whole, value)
    alone = function(torch.tensor([[3.0, 2.5, 2.0, -1.0]]), value)
    assert result[whole > out].tolist() == alone[0].tolist()
    assert (result[whole == out] == out).all()


def test_rows_have_their_own_settings() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0]] * 3)
    result = truncation.top_p(logits, torch.tensor([[0.1], [0.8], [1.0]]))
    assert (result > truncation.OUT).sum(dim=1).tolist() == [1, 2, 3]
