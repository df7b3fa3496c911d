"""Going on with an answer that another engine began, on vLLM.

vLLM's core takes what was generated for a part of the prompt, which its prefix cache may know.
The text is made of all of the answer.

Only mirostat, which steers by what each token was like among all others, has the core go
through the whole answer again.
"""

import copy
from collections.abc import Iterator, Sequence

import numpy
from vllm.inputs.engine import MultiModalInput, TokensInput
from vllm.sampling_params import SamplingParams
from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest, FinishReason
from vllm.v1.outputs import LogprobsLists

from workers.logits.request import known_arguments
from workers.logits.settings import carried_settings
from workers.structured_output import accepted_arguments


class Continuation:
    """One answer, of which `generated` is known.

    Args:
        given: its prompt.
        request: what the core would be asked for, were nothing known.
    """

    def __init__(
        self,
        given: TokensInput | MultiModalInput,
        request: EngineCoreRequest,
        generated: Sequence[int],
    ) -> None:
        assert request.sampling_params
        self._given = given
        self._generated = list(generated)
        self._parameters = request.sampling_params
        settings = carried_settings(self._parameters.extra_args)
        self._anew = settings is not None and settings.mirostat > 0
        self._known = len(self._generated) if self._anew else 0  # what comes from the core again

    def again(self) -> Iterator[EngineCoreOutput]:
        """Give what the core would have put out for each of the generated tokens."""
        for count, token in enumerate(self._generated, 1):
            yield EngineCoreOutput(
                request_id="",
                new_token_ids=[token],
                new_logprobs=self._logprobs(token),
                finish_reason=self._reason(token, count),
            )

    def follow(self, output: EngineCoreOutput) -> bool:
        """Take what is known from what the core put out; tell whether any of it is new."""
        known = min(self._known, len(output.new_token_ids))
        if known:
            self._known -= known
            new = len(output.new_token_ids) - known
            output.new_token_ids = output.new_token_ids[known:]
            if output.new_logprobs:
                output.new_logprobs = output.new_logprobs.slice_request(known, new)
        return not known or bool(output.new_token_ids)

    def rest(self) -> tuple[TokensInput | MultiModalInput, SamplingParams]:
        """Give what the core is asked for."""
        given, parameters = copy.copy(self._given), copy.copy(self._parameters)
        if self._anew:
            known = known_arguments(self._generated, len(given["prompt_token_ids"]))
            parameters.extra_args = (parameters.extra_args or {}) | known
            return given, parameters
        given["prompt_token_ids"] = [*given["prompt_token_ids"], *self._generated]
        assert parameters.max_tokens is not None
        parameters.max_tokens -= len(self._generated)
        if parameters.structured_outputs:
            parameters.extra_args = (parameters.extra_args or {}) | accepted_arguments(
                self._generated
            )
        return given, parameters

    def _logprobs(self, token: int) -> LogprobsLists | None:
        """Give any: whoever goes on with an answer has these already."""
        if self._parameters.logprobs is None:
            return None
        return LogprobsLists(numpy.array([[token]]), numpy.zeros((1, 1)), numpy.ones(1, int))

    def _reason(self, token: int, count: int) -> FinishReason | None:
        """Tell how the answer ends with a token, as the core would: stop tokens come first."""
        parameters = self._parameters
        if token == parameters.eos_token_id or token in (parameters.stop_token_ids or ()):
            return FinishReason.STOP
        return FinishReason.LENGTH if count == parameters.max_tokens else None
