import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.logits import reference
from workers.logits.mirostat import Mirostat
from workers.logits.randomness import uniform
from workers.logits.settings import Settings

LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=20, max_size=60, unique=True)
NUMBERS = uniform(torch.tensor(3), torch.arange(500))[:, None, None]


def state(version: int, tau: float = 2.0, eta: float = 0.5) -> Mirostat:
    return Mirostat(Settings(mirostat=version, mirostat_tau=tau, mirostat_eta=eta))


def survivors(mirostat: Mirostat, logits: list[float]) -> set[int]:
    """Ask often at one position, which changes nothing, with other numbers."""
    tensor = torch.tensor(logits)
    return {int(mirostat.choose(tensor, number, 0)) for number in NUMBERS[:60]}


@given(LOGITS, st.sampled_from([1, 2]), st.sampled_from([0.5, 1.0, 2.0]))
def test_what_is_chosen_was_left_to_choose_from(
    logits: list[float], version: int, tau: float
) -> None:
    given = reference.candidates(logits)
    if version == 1:
        kept = reference.mirostat_v1(given, 2 * tau, len(logits))
    else:
        kept = reference.mirostat_v2(given, 2 * tau)
    # One more may be kept where rounding decides.
    allowed = {token for token, _ in given[: len(kept) + 1]}
    assert survivors(state(version, tau), logits) <= allowed


@pytest.mark.parametrize("version", [1, 2])
def test_much_surprise_wanted_keeps_every_token(version: int) -> None:
    assert survivors(state(version, tau=50.0), [0.1, 0.2, 0.3, 0.4]) == {0, 1, 2, 3}


@pytest.mark.parametrize("version", [1, 2])
def test_no_surprise_wanted_takes_the_likeliest(version: int) -> None:
    assert survivors(state(version, tau=-5.0), [0.1, 5.0, 0.3, 0.4]) == {1}


@pytest.mark.parametrize("version", [1, 2])
def test_the_surprise_of_a_text_is_steered(version: int) -> None:
    """Over a distribution that alone would surprise by 7 bits."""
    logits = -1.1 * torch.arange(1, 2001).log()
    means = []
    for tau in (1.5, 3.0, 4.5):
        mirostat = state(version, tau, eta=0.1)
        for position in range(50):
            mirostat.choose(logits, NUMBERS[position], position)
        before = mirostat.limit
        for position in range(50, 450):
            mirostat.choose(logits, NUMBERS[position], position)
        means.append(tau + (before - mirostat.limit) / 0.1 / 400)
    assert means == pytest.approx([1.5, 3.0, 4.5], abs=0.2)


def test_the_state_follows_the_definition() -> None:
    logits = [2.0, 1.0, 0.5, 0.0]
    mirostat, limit = state(2, tau=1.0, eta=0.4), 2.0
    for position in range(5):
        kept = reference.mirostat_v2(reference.candidates(logits), limit)
        assert mirostat.limit == pytest.approx(limit, abs=1e-4)
        token = int(mirostat.choose(torch.tensor(logits), NUMBERS[position], position))
        chances = dict(zip([each for each, _ in kept], reference.probabilities(kept), strict=True))
        limit -= 0.4 * (-math.log2(chances[token]) - 1.0)


def test_asking_again_at_a_position_changes_nothing() -> None:
    logits = torch.linspace(0, 4, 30)
    once, often = state(2), state(2)
    for position in range(10):
        for _ in range(3):
            chosen = often.choose(logits, NUMBERS[position], position)
        assert chosen == once.choose(logits, NUMBERS[position], position)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("tau", "eta"), [(3e38, 0.1), (5.0, 3e38), (-3e38, -3e38), (0.0, 0.0)])
def test_settings_beyond_measure(version: int, tau: float, eta: float) -> None:
    mirostat = state(version, tau, eta)
    logits = torch.tensor([1.0, 2.0, float("-inf"), 0.0])
    for position in range(6):
        assert int(mirostat.choose(logits, NUMBERS[position], position)) in (0, 1, 3)


def test_one_possible_token() -> None:
    logits = torch.tensor([float("-inf"), 1.0, float("-inf")])
    assert all(int(state(version).choose(logits, NUMBERS[0], 0)) == 1 for version in (1, 2))
