"""The sampler as vLLM's second model runner calls it, with its buffers on the CPU."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor.interface import BatchUpdate
from vllm.v1.worker.gpu.sample.logits_processor import LogitsContext, LogitsProcRequestState

from workers.logits.settings import Settings
from workers.logits.v1 import FirstRunnerSampler
from workers.logits.v2 import SecondRunnerSampler

VOCABULARY = 20


class Runner:
    """The buffers of a model runner, and the requests in their slots."""

    def __init__(self) -> None:
        self.tokens = torch.full((4, 32), 19, dtype=torch.int32)  # old ones
        self.prefill = np.zeros(4, dtype=np.int32)
        buffers: dict[str, Any] = {
            "all_token_ids": SimpleNamespace(gpu=self.tokens),
            "prefill_len": SimpleNamespace(np=self.prefill),
            "prompt_len": None,
            "total_len": None,
        }
        state = LogitsProcRequestState(torch.device("cpu"), 4, VOCABULARY, **buffers)
        self.sampler = SecondRunnerSampler(None, state)
        self.lengths: dict[int, int] = {}

    def add(self, slot: int, settings: Settings | None, prompt: list[int]) -> bool:
        self.prefill[slot] = len(prompt)
        self.lengths[slot] = 0
        for token in prompt:
            self.append(slot, token)
        arguments = settings.extra_arguments() if settings else None
        return self.sampler.add_request(slot, SamplingParams(extra_args=arguments))

    def append(self, slot: int, token: int) -> None:
        self.tokens[slot, self.lengths[slot]] = token
        self.lengths[slot] += 1

    def step(self, slots: list[int], logits: torch.Tensor, lengths: list[int] | None = None) -> Any:
        indices: Any = torch.tensor(slots)
        lengths = lengths or [self.lengths[slot] for slot in slots]
        context = LogitsContext(
            indices, indices, np.array(slots), indices, indices, indices, np.array(lengths)
        )
        return self.sampler.apply(logits, context)


def penalised(runner: Runner, slots: list[int]) -> list[set[int]]:
    logits = runner.step(slots, torch.ones(len(slots), VOCABULARY))
    return [{token for token in range(VOCABULARY) if row[token] < 1} for row in logits]


def penalty(window: int) -> Settings:
    return Settings(temperature=0.0, presence_penalty=1.0, penalty_window=window)


def test_windows_of_requests_in_any_order() -> None:
    runner = Runner()
    assert runner.add(0, penalty(3), [1, 2, 3, 4])
    assert not runner.add(1, None, [1, 2])
    assert runner.add(3, penalty(-1), [7, 8])
    assert penalised(runner, [3, 1, 0]) == [{7, 8}, set(), {2, 3, 4}]
    runner.append(0, 5)
    assert penalised(runner, [0]) == [{3, 4, 5}]


def test_a_slot_is_given_to_another_request() -> None:
    runner = Runner()
    runner.add(2, penalty(64), [1])
    assert not runner.add(2, None, [1])
    assert penalised(runner, [2]) == [set()]


def test_a_part_of_a_prompt_chooses_nothing() -> None:
    runner = Runner()
    runner.add(0, Settings(seed=1, mirostat=2), [1, 2, 3, 4])
    logits = torch.linspace(0, 1, VOCABULARY)[None]
    assert runner.step([0], logits.clone(), lengths=[2]).equal(logits)
    assert not runner.step([0], logits.clone()).equal(logits)


def test_both_runners_choose_alike() -> None:
    settings = [Settings(seed=seed, top_k=5, temperature=2.0) for seed in range(3)]
    settings.append(Settings(seed=9, mirostat=2, frequency_penalty=0.5, penalty_window=8))
    runner, first = Runner(), FirstRunnerSampler(None, torch.device("cpu"), is_pin_memory=False)
    prompts = [[1], [2, 3], [4, 5, 6], [7, 8]]
    answers: list[list[int]] = [[] for _ in prompts]
    added = []
    for slot, (each, prompt) in enumerate(zip(settings, prompts, strict=True)):
        runner.add(slot, each, prompt)
        given = SamplingParams(extra_args=each.extra_arguments())
        added.append((slot, given, prompt, answers[slot]))
    first.update_state(BatchUpdate(4, removed=[], added=added, moved=[]))
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        logits = torch.randn(4, VOCABULARY, generator=generator)
        by_first = first.apply(logits.clone()).argmax(dim=1).tolist()
        by_second = runner.step([2, 0, 3, 1], logits[[2, 0, 3, 1]]).argmax(dim=1).tolist()
        assert [by_first[slot] for slot in (2, 0, 3, 1)] == by_second
        for slot, token in enumerate(by_first):
            answers[slot].append(token)
            runner.append(slot, token)
