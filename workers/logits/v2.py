"""The sampler in vLLM's second model runner, the one that computes on GPUs."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from vllm.v1.worker.gpu.sample.logits_processor import (
    LogitsContext,
    LogitsProcessor,
    LogitsProcRequestState,
)

from workers.logits.columns import integers
from workers.logits.penalties import NO_TOKEN
from workers.logits.request import Request, carried_request
from workers.logits.sampler import Row, choose_tokens
from workers.logits.settings import WHOLE_CONTEXT

if TYPE_CHECKING:
    from vllm.sampling_params import SamplingParams


class SecondRunnerSampler(LogitsProcessor):
    """Chooses the tokens of requests that carry settings.

    It does not wait for the GPU, whose results may be a step behind, but for mirostat.
    """

    def __init__(self, vllm_config: Any, req_states: LogitsProcRequestState) -> None:
        self._tokens = req_states.all_token_ids
        self._prefill = req_states.prefill_len
        self._device = req_states.device
        self._requests: dict[int, Request] = {}

    def add_request(self, req_idx: int, sampling_params: "SamplingParams") -> bool:
        """Remember the request that has this slot from now on."""
        self._requests.pop(req_idx, None)
        if request := carried_request(sampling_params.extra_args):
            self._requests[req_idx] = request
        return req_idx in self._requests

    def apply(self, logits: Tensor, ctx: LogitsContext) -> Tensor:
        """Choose, for a step, whose logits have a row for each request."""
        slots = ctx.idx_mapping_np.tolist()
        rows = [*self._rows(slots, ctx.seq_lens_upper_bound_np.tolist())]
        if rows:
            choose_tokens(logits, rows, lambda wanted: self._windows(wanted, slots))
        return logits

    def _rows(self, slots: Sequence[int], lengths: Sequence[int]) -> Iterator[Row]:
        for index, (slot, length) in enumerate(zip(slots, lengths, strict=False)):
            request = self._requests.get(slot)
            # What a mere part of a prompt would choose is thrown away.
            if request and length >= self._prefill.np[slot]:
                yield Row(index, request, length)

    def _windows(self, rows: Sequence[Row], slots: Sequence[int]) -> Tensor:
        ends = [row.position for row in rows]
        starts = [
            max(row.position - window, 0) if window > WHOLE_CONTEXT else 0
            for row in rows
            for window in [row.settings.penalty_window]
        ]
        longest = max(end - start for start, end in zip(starts, ends, strict=True))
        counted = torch.arange(longest, 0, -1, device=self._device)
        places = integers(ends, self._device) - counted
        tokens = self._tokens.gpu[
            integers((slots[row.index] for row in rows), self._device), places.clamp(0)
        ]
        inside = places >= integers(starts, self._device)
        return tokens.to(torch.int64).where(inside, NO_TOKEN)
