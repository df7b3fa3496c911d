import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.logits import reference
from workers.logits.penalties import NO_TOKEN, penalize

VOCABULARY = 12
WINDOWS = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30)
FACTORS = st.floats(0.1, 4.0)
TERMS = st.floats(-5.0, 5.0)


def run(logits: torch.Tensor, rows: list[int], windows: list[list[int]], *columns: float) -> None:
    longest = max(map(len, windows))
    filled = [[NO_TOKEN] * (longest - len(window)) + window for window in windows]
    settings = [torch.full((len(rows), 1), column) for column in columns]
    penalize(logits, torch.tensor(rows)[:, None], torch.tensor(filled), *settings)


@given(first=WINDOWS, second=WINDOWS, repeat=FACTORS, presence=TERMS, frequency=TERMS)
def test_rows_of_different_lengths(
    first: list[int], second: list[int], repeat: float, presence: float, frequency: float
) -> None:
    logits = torch.linspace(-3, 3, 3 * VOCABULARY).reshape(3, VOCABULARY)
    before = logits.tolist()
    run(logits, [2, 0], [first, second], repeat, presence, frequency)
    expected = [
        reference.penalized(before[0], second, repeat, presence, frequency),
        before[1],
        reference.penalized(before[2], first, repeat, presence, frequency),
    ]
    assert torch.allclose(logits, torch.tensor(expected), atol=1e-4)


def test_a_used_token_becomes_less_likely_whatever_its_sign() -> None:
    logits = torch.tensor([[2.0, -2.0, 1.0]])
    run(logits, [0], [[0, 1, 1]], 2.0, 0.0, 0.0)
    assert logits.tolist() == [[1.0, -4.0, 1.0]]


@pytest.mark.parametrize("window", [[VOCABULARY, VOCABULARY + 5], [NO_TOKEN]])
def test_ids_that_are_none_of_the_vocabulary_change_nothing(window: list[int]) -> None:
    logits = torch.ones(1, VOCABULARY)
    run(logits, [0], [window], 2.0, 1.0, 1.0)
    assert logits.tolist() == [[1.0] * VOCABULARY]


def test_an_id_beyond_the_vocabulary_beside_others() -> None:
    logits = torch.ones(2, 4)
    run(logits, [0, 1], [[4, 3, 99], [3]], 2.0, 0.0, 0.0)
    assert logits.tolist() == [[1, 1, 1, 0.5]] * 2


def test_what_a_grammar_ruled_out_stays_out() -> None:
    logits = torch.tensor([[1.0, float("-inf")]])
    run(logits, [0], [[1, 1]], 0.5, -3e38, -3e38)
    assert logits.tolist() == [[1.0, float("-inf")]]


def test_penalties_beyond_measure_stay_finite() -> None:
    logits = torch.tensor([[1.0, -1.0, 0.0]])
    run(logits, [0], [[0, 1, 2]], 1e-38, 3e38, 3e38)
    assert logits.isfinite().all()
    run(logits, [0], [[0, 1, 2]], 3e38, -3e38, -3e38)
    assert logits.isfinite().all()
