"""The sampler in vLLM's first model runner, the one that computes on CPUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from vllm.sampling_params import SamplingParams
from vllm.utils.torch_utils import async_tensor_h2d
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.sample.logits_processor.interface import BatchUpdate, LogitsProcessor

from workers.logits.penalties import NO_TOKEN
from workers.logits.request import Request, carried_request
from workers.logits.sampler import Row, choose_tokens


@dataclass(frozen=True)
class _Sequence:
    request: Request
    prompt: Sequence[int]
    answer: Sequence[int]
    """vLLM's own list, which grows."""

    def last(self, count: int) -> Sequence[int]:
        """Give the last tokens; a negative `count` means all."""
        if count < 0:
            return [*self.prompt, *self.answer]
        first = len(self.prompt) + len(self.answer) - count
        if first >= len(self.prompt):
            return self.answer[-count:]
        return [*self.prompt[max(first, 0) :], *self.answer]


class FirstRunnerSampler(LogitsProcessor):
    """Chooses the tokens of requests that carry settings."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._device = device
        self._sequences: dict[int, _Sequence] = {}

    def is_argmax_invariant(self) -> bool:
        """Say that it has to run for the likeliest token, too."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the requests to their rows."""
        process_dict_updates(self._sequences, batch_update, _start)

    def apply(self, logits: Tensor) -> Tensor:
        """Choose, for a step."""
        if self._sequences:
            choose_tokens(logits, [*map(self._row, self._sequences)], self._windows)
        return logits

    def _row(self, index: int) -> Row:
        sequence = self._sequences[index]
        return Row(index, sequence.request, len(sequence.prompt) + len(sequence.answer))

    def _windows(self, rows: Sequence[Row]) -> Tensor:
        windows = [self._sequences[row.index].last(row.settings.penalty_window) for row in rows]
        longest = max(map(len, windows))
        filled = [[NO_TOKEN] * (longest - len(window)) + [*window] for window in windows]
        return async_tensor_h2d(filled, self._device, torch.int64)


def _start(
    parameters: SamplingParams, prompt: list[int] | None, answer: list[int]
) -> _Sequence | None:
    request = carried_request(parameters.extra_args)
    return _Sequence(request, prompt or (), answer) if request else None
