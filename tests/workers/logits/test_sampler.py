from collections.abc import Sequence
from itertools import accumulate

import pytest
import torch
from torch import Tensor

from tests.workers.logits import reference
from workers.logits.randomness import uniform
from workers.logits.request import Request
from workers.logits.sampler import Row, choose_tokens
from workers.logits.settings import Settings

VOCABULARY = 600
WINDOW = [3, 5, 5, 8]

TABLE = [
    Settings(seed=1),
    Settings(seed=2, temperature=0.3),
    Settings(seed=3, temperature=5.0),
    Settings(seed=4, top_k=40, top_p=0.9, temperature=0.8),
    Settings(seed=5, top_k=3),
    Settings(seed=6, top_p=0.4),
    Settings(seed=7, min_p=0.3, temperature=2.0),
    Settings(seed=8, typical_p=0.3),
    Settings(seed=9, top_k=20, typical_p=0.6, top_p=0.7, min_p=0.05, temperature=1.3),
    Settings(seed=10, top_k=10**9, top_p=0.5),
    Settings(seed=11, top_k=300, top_p=0.95),
    Settings(seed=12, repeat_penalty=1.8, penalty_window=64, top_k=40),
    Settings(seed=13, presence_penalty=3.0, frequency_penalty=-1.0, penalty_window=-1),
    Settings(seed=14, temperature=0.0, typical_p=0.2),
    Settings(seed=15, temperature=0.0, typical_p=0.5, top_k=5),
]


def some_logits(rows: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(rows, VOCABULARY, generator=generator) * 3


def chosen(logits: Tensor, rows: Sequence[Row]) -> list[int]:
    choose_tokens(logits, rows, lambda wanted: torch.tensor([WINDOW] * len(wanted)))
    return [int(logits[row.index].argmax()) for row in rows]


def expected(logits: list[float], settings: Settings, position: int) -> int:
    """Go through llama.cpp's chain, then draw with the same number."""
    if settings.penalised:
        penalties = (
            settings.repeat_penalty,
            settings.presence_penalty,
            settings.frequency_penalty,
        )
        logits = reference.penalized(logits, WINDOW, *penalties)
    left = reference.top_k(reference.candidates(logits), settings.top_k)
    left = reference.typical_p(left, settings.typical_p)
    left = reference.top_p(left, settings.top_p)
    left = reference.min_p(left, settings.min_p)
    if settings.temperature == 0:
        return left[0][0]
    if 0 < settings.top_k <= 1024 or (settings.top_k == 0 and settings.top_p == 1):
        left = sorted(left)
    chances = reference.probabilities(
        [(token, logit / settings.temperature) for token, logit in left]
    )
    number = float(uniform(torch.tensor(settings.seed), torch.tensor(position)))
    for (token, _), total in zip(left, accumulate(chances), strict=True):
        if total > number:
            return token
    raise AssertionError(number)


@pytest.mark.parametrize("settings", TABLE, ids=str)
def test_a_request_alone(settings: Settings) -> None:
    logits = some_logits()
    for position in range(1, 30):
        row = Row(0, Request(settings), position)
        assert chosen(logits.clone(), [row]) == [expected(logits[0].tolist(), settings, position)]


@pytest.mark.parametrize("start", range(8))
def test_requests_together(start: int) -> None:
    """All at once, in any order of rows, beside some that are not ours."""
    logits = some_logits(len(TABLE) + 3)
    places = torch.randperm(len(TABLE) + 3, generator=torch.Generator().manual_seed(start)).tolist()
    rows = [
        Row(place, Request(settings), 17) for place, settings in zip(places, TABLE, strict=False)
    ]
    answers = [expected(logits[row.index].tolist(), row.request.settings, 17) for row in rows]
    after = logits.clone()
    assert chosen(after, rows) == answers
    for place in places[len(TABLE) :]:
        assert after[place].equal(logits[place])


def test_every_row_of_a_batch_is_ours() -> None:
    settings = TABLE[3]
    logits = some_logits(5)
    rows = [Row(index, Request(settings), index) for index in reversed(range(5))]
    assert chosen(logits.clone(), rows) == [
        expected(logits[row.index].tolist(), settings, row.position) for row in rows
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_runs_with_penalties_and_a_temperature(version: int) -> None:
    settings = Settings(
        seed=1, mirostat=version, temperature=0.01, presence_penalty=50, penalty_window=4
    )
    logits = torch.zeros(1, 10)
    logits[0, 5], logits[0, 7] = 9.0, 8.0
    assert chosen(logits, [Row(0, Request(settings), 1)]) == [7]  # 5 was used


def test_greedy_requests_are_only_penalised() -> None:
    settings = Settings(temperature=0.0, repeat_penalty=2.0, penalty_window=64)
    logits = torch.ones(1, 10)
    chosen(logits, [Row(0, Request(settings), 1)])
    assert logits.tolist() == [[1, 1, 1, 0.5, 1, 0.5, 1, 1, 0.5, 1]]


def test_what_a_grammar_ruled_out_is_never_chosen() -> None:
    logits = torch.full((1, 100), float("-inf"))
    logits[0, [20, 30]] = torch.tensor([-4.0, 1.0])
    for settings in [*TABLE, Settings(seed=1, mirostat=1), Settings(seed=1, mirostat=2)]:
        for position in range(10):
            assert chosen(logits.clone(), [Row(0, Request(settings), position)])[0] in (20, 30)


def test_ties_do_not_make_the_batch_decide() -> None:
    """Half precision gives equal logits in masses; who is drawn depends on the row alone."""
    row = some_logits()[0].round()
    settings = Settings(seed=3, top_k=10)
    alone = [chosen(row[None].clone(), [Row(0, Request(settings), at)]) for at in range(40)]
    batch = [
        chosen(
            torch.stack([row, row * 2, row]),
            [
                Row(0, Request(Settings(seed=1, top_k=500)), 2),
                Row(1, Request(Settings(seed=2, top_k=1000)), 2),
                Row(2, Request(settings), at),
            ],
        )[2:]
        for at in range(40)
    ]
    assert alone == batch
