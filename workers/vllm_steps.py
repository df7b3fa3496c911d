"""vLLM's outputs of one sequence as steps."""

import time

from vllm.outputs import CompletionOutput
from vllm.v1.metrics.stats import RequestStateStats

from common.durations import SECOND
from common.errors import WorkerLost
from protos.paddock.v1 import generation_pb2
from workers.engine import Step, Timing
from workers.logprobs import LogprobReader

# vLLM's, by its own names; "abort" and "error" mean that the engine gave up.
_REASONS = {
    "stop": generation_pb2.FINISH_REASON_STOP,
    "length": generation_pb2.FINISH_REASON_LENGTH,
    "repetition": generation_pb2.FINISH_REASON_STOP,
}


class StepReader:
    """Makes the steps of one sequence, whose prompt has `prompt` tokens."""

    def __init__(self, prompt: int, logprobs: LogprobReader | None) -> None:
        self._prompt = prompt
        self._logprobs = logprobs
        self._timed = False

    def read(self, completion: CompletionOutput, times: RequestStateStats | None) -> Step:
        """Give the step for what was added.

        `times` are vLLM's; None: nothing was computed for it.

        Raises:
            WorkerLost: the engine gave up.
        """
        logprobs = self._logprobs.read(completion) if self._logprobs else ()
        text, tokens = completion.text, completion.token_ids
        if completion.finish_reason is None and (self._timed or times is None):
            return Step(text, tokens, logprobs)
        self._timed = True
        reason = generation_pb2.FINISH_REASON_UNSPECIFIED
        if completion.finish_reason is not None:
            if completion.finish_reason not in _REASONS:
                raise WorkerLost
            reason = _REASONS[completion.finish_reason]
        return Step(text, tokens, logprobs, reason, _timing(times), self._prompt)


def _timing(times: RequestStateStats | None) -> Timing:
    if times is None:
        return Timing(0, 0)
    return Timing(
        prompt=int((times.first_token_ts - times.scheduled_ts) * SECOND),
        completion=int((time.monotonic() - times.first_token_ts) * SECOND),
    )
