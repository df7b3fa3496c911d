"""What vLLM's core puts out for one sequence, as steps: with text, and ended at stop strings.

The text is made by vLLM's front half. (vLLM 0.32: `vllm.v1.engine.detokenizer`.)
"""

import time
from typing import Any

from vllm.outputs import CompletionOutput
from vllm.v1.engine import (
    EngineCoreEventType,
    EngineCoreOutput,
    EngineCoreRequest,
    FinishReason,
)
from vllm.v1.engine.detokenizer import IncrementalDetokenizer
from vllm.v1.engine.logprobs import LogprobsProcessor

from common.durations import SECOND
from common.errors import WorkerLost
from protos.paddock.v1 import generation_pb2
from workers.engine import Step, Timing
from workers.logprobs import LogprobReader

# The others mean that the engine gave up.
_REASONS = {
    FinishReason.STOP: generation_pb2.FINISH_REASON_STOP,
    FinishReason.LENGTH: generation_pb2.FINISH_REASON_LENGTH,
    FinishReason.REPETITION: generation_pb2.FINISH_REASON_STOP,
}


class StepReader:
    """Makes the steps of one sequence.

    Args:
        tokenizer: vLLM's.
        request: that of the whole answer.
        logprobs: what takes its log probabilities, where they are wanted.
    """

    def __init__(
        self, tokenizer: Any, request: EngineCoreRequest, logprobs: LogprobReader | None
    ) -> None:
        self._prompt = len(request.prompt_token_ids or ())
        self._detokenizer = IncrementalDetokenizer.from_new_request(tokenizer, request)
        self._logprobs = _Logprobs(logprobs, request) if logprobs else None
        self._kept = 0  # tokens so far
        self._prompt_took = 0
        self._first: float | None = None  # token's time

    def read(self, output: EngineCoreOutput, at: float | None) -> Step:
        """Give the step for what the core put out `at` a time; None: nothing was computed for it.

        Raises:
            WorkerLost: the engine gave up.
        """
        detokenizer, tokens, reason = self._detokenizer, output.new_token_ids, output.finish_reason
        stop = detokenizer.update(tokens, reason is FinishReason.STOP)
        if stop is not None:
            reason, tokens = (
                FinishReason.STOP,
                tokens[: detokenizer.num_output_tokens() - self._kept],
            )
        self._kept += len(tokens)
        step = Step(detokenizer.get_next_output_text(reason is not None, delta=True), tokens)
        if self._logprobs:
            step.logprobs = self._logprobs.read(output, step, reason, stop or output.stop_reason)
        if reason is not None:
            if reason not in _REASONS:
                raise WorkerLost
            step.reason = _REASONS[reason]
        if reason is not None or (self._first is None and at is not None):
            self._add_timing(step, output, at)
        return step

    def _add_timing(self, step: Step, output: EngineCoreOutput, at: float | None) -> None:
        step.prompt_tokens = self._prompt
        if self._first is None and at is not None:
            self._first = at
            self._prompt_took = int((at - _scheduled(output, at)) * SECOND)
        answering = 0.0 if self._first is None else time.monotonic() - self._first
        step.timing = Timing(self._prompt_took, int(answering * SECOND))


class _Logprobs:
    """The log probabilities of one answer."""

    def __init__(self, reader: LogprobReader, request: EngineCoreRequest) -> None:
        self._reader = reader
        self._processor = LogprobsProcessor.from_new_request(None, request)

    def read(
        self,
        output: EngineCoreOutput,
        step: Step,
        reason: FinishReason | None,
        stop: int | str | None,
    ) -> list[generation_pb2.TokenLogprob]:
        """Give those that belong to a step's text."""
        self._processor.update_from_output(output)
        found = self._processor.logprobs or []
        completion = CompletionOutput(
            index=0,
            text=step.text,
            token_ids=step.tokens,
            cumulative_logprob=None,
            logprobs=found[: len(step.tokens)],
            finish_reason=None if reason is None else str(reason),
            stop_reason=stop,
        )
        found.clear()
        return self._reader.read(completion)


def _scheduled(output: EngineCoreOutput, default: float) -> float:
    """Tell when the core began with a sequence, from what it first put out for it."""
    events = output.events or ()
    begun = (it.timestamp for it in events if it.type == EngineCoreEventType.SCHEDULED)
    return next(begun, default)
