"""The sampler as vLLM's first model runner calls it."""

from typing import Any

import pytest
import torch
from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor.interface import BatchUpdate, MoveDirectionality

from workers.logits.settings import Settings
from workers.logits.v1 import FirstRunnerSampler

VOCABULARY = 20
PENALTY = Settings(temperature=0.0, presence_penalty=1.0, penalty_window=3)


@pytest.fixture
def sampler() -> FirstRunnerSampler:
    return FirstRunnerSampler(None, torch.device("cpu"), is_pin_memory=False)


def parameters(settings: Settings | None) -> SamplingParams:
    arguments = settings.extra_arguments() if settings else None
    return SamplingParams(temperature=0.0, extra_args=arguments)


def update(sampler: FirstRunnerSampler, **changes: Any) -> None:
    changes = {"removed": [], "added": [], "moved": [], **changes}
    sampler.update_state(BatchUpdate(batch_size=4, **changes))


def penalised(sampler: FirstRunnerSampler, rows: int = 1) -> list[set[int]]:
    logits = sampler.apply(torch.ones(rows, VOCABULARY))
    return [{token for token in range(VOCABULARY) if row[token] < 1} for row in logits]


def test_it_also_runs_where_the_likeliest_token_is_taken(sampler: FirstRunnerSampler) -> None:
    assert not sampler.is_argmax_invariant()


def test_the_window_moves_over_prompt_and_answer(sampler: FirstRunnerSampler) -> None:
    answer: list[int] = []
    update(sampler, added=[(0, parameters(PENALTY), [1, 2, 3, 4], answer)])
    assert penalised(sampler) == [{2, 3, 4}]
    for token, window in ((5, {3, 4, 5}), (6, {4, 5, 6}), (7, {5, 6, 7}), (8, {6, 7, 8})):
        answer.append(token)
        assert penalised(sampler) == [window]


def test_windows_longer_than_what_there_is(sampler: FirstRunnerSampler) -> None:
    for index, window in enumerate((64, -1)):
        settings = Settings(temperature=0.0, presence_penalty=1.0, penalty_window=window)
        update(sampler, added=[(index, parameters(settings), [1, 2], [3])])
    assert penalised(sampler, 2) == [{1, 2, 3}, {1, 2, 3}]


def test_requests_that_come_move_and_go(sampler: FirstRunnerSampler) -> None:
    update(sampler, added=[(index, parameters(PENALTY), [index], []) for index in range(3)])
    assert penalised(sampler, 3) == [{0}, {1}, {2}]
    update(sampler, moved=[(0, 2, MoveDirectionality.SWAP)])
    assert penalised(sampler, 3) == [{2}, {1}, {0}]
    update(sampler, removed=[0], moved=[(2, 0, MoveDirectionality.UNIDIRECTIONAL)])
    assert penalised(sampler, 2) == [{0}, {1}]
    update(sampler, added=[(0, parameters(None), [5], [])])
    assert penalised(sampler, 2) == [set(), {1}]
    sampler.update_state(None)
    assert penalised(sampler, 2) == [set(), {1}]


def test_a_request_that_was_set_aside_goes_on_where_it_was(sampler: FirstRunnerSampler) -> None:
    """vLLM computes it again from the start, with the parameters that it had."""
    logits = torch.linspace(0, 3, VOCABULARY)[None]
    settings = Settings(seed=4, mirostat=2, mirostat_tau=2.0, mirostat_eta=0.9)

    def answer(interrupted: bool) -> list[int]:
        given, tokens = parameters(settings), list[int]()
        update(sampler, added=[(0, given, [1, 2], tokens)])
        for step in range(30):
            if interrupted and step == 15:
                update(sampler, removed=[0])
                update(sampler, added=[(0, given, [1, 2], tokens)])
            for _ in range(1 + interrupted):  # parts of a prompt ask in vain
                chosen = int(sampler.apply(logits.clone()).argmax())
            tokens.append(chosen)
        update(sampler, removed=[0])
        return tokens

    assert answer(interrupted=False) == answer(interrupted=True)


def test_a_seed_decides_from_the_position_on(sampler: FirstRunnerSampler) -> None:
    logits = torch.zeros(1, VOCABULARY)
    update(sampler, added=[(0, parameters(Settings(seed=1)), [1, 2], [3])])
    first = sampler.apply(logits.clone()).argmax()
    update(sampler, added=[(0, parameters(Settings(seed=1)), [1, 2, 3], [])])
    assert sampler.apply(logits.clone()).argmax() == first
