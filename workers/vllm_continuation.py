"""Going on with an answer that another engine began, on vLLM.

vLLM's core takes what was generated for a part of the prompt, which its prefix cache may know.
Its front half would begin a new text there; so the text is made here, with the front half's own
detokenizer, which gets all of the answer. (vLLM 0.32: `vllm.v1.engine.detokenizer`.)

Only mirostat, which steers by what each token was like among all others, has the core go
through the whole answer again.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vllm.inputs.engine import MultiModalInput, TokensInput
from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput
from vllm.sampling_params import SamplingParams
from vllm.v1.engine import EngineCoreRequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.detokenizer import IncrementalDetokenizer

from workers.logits.request import known_arguments
from workers.logits.settings import carried_settings
from workers.structured_output import accepted_arguments


class Continuation:
    """One answer, of which `generated` is known.

    Args:
        parameters: those of the whole answer, in which its stop tokens are completed.
    """

    def __init__(
        self,
        llm: AsyncLLM,
        given: TokensInput | MultiModalInput,
        generated: Sequence[int],
        parameters: SamplingParams,
    ) -> None:
        parameters.update_from_generation_config(
            llm.input_processor.generation_config_fields,
            llm.input_processor.renderer.get_eos_token_id(),
        )
        self._given = given
        self._generated = list(generated)
        self._parameters = parameters
        settings = carried_settings(parameters.extra_args)
        self._anew = settings is not None and settings.mirostat > 0
        self._known = len(self._generated) if self._anew else 0  # what comes from the core again
        self.ended = False
        """Whether its end has been read."""
        self._detokenizer = IncrementalDetokenizer.from_new_request(
            llm.get_tokenizer(), _request(given["prompt_token_ids"], parameters)
        )

    def again(self) -> Iterator[CompletionOutput]:
        """Give what the core would have given for each of the generated tokens, to its end."""
        for count, token in enumerate(self._generated, 1):
            # Whoever goes on with an answer has the log probabilities of these already.
            logprobs = [{token: Logprob(0.0)}] if self._parameters.logprobs is not None else None
            yield self._read(
                CompletionOutput(
                    index=0,
                    text="",
                    token_ids=[token],
                    cumulative_logprob=None,
                    logprobs=logprobs,
                    finish_reason=self._reason(token, count),
                )
            )
            if self.ended:
                return

    def follow(self, completion: CompletionOutput) -> CompletionOutput | None:
        """Take what the core added; None: it is not new."""
        tokens, logprobs = completion.token_ids, completion.logprobs
        known = min(self._known, len(tokens))
        if known:
            self._known -= known
            if known == len(tokens):
                return None
            left = logprobs[known:] if logprobs else logprobs
            completion = replace(completion, token_ids=tokens[known:], logprobs=left)
        return self._read(completion)

    def _read(self, completion: CompletionOutput) -> CompletionOutput:
        """Complete what is added by its text, and end it at a stop string."""
        detokenizer, before = self._detokenizer, self._detokenizer.num_output_tokens()
        stop = detokenizer.update(list(completion.token_ids), completion.finish_reason == "stop")
        tokens, logprobs = completion.token_ids, completion.logprobs
        if stop:
            kept = detokenizer.num_output_tokens() - before
            tokens, logprobs = tokens[:kept], logprobs[:kept] if logprobs else logprobs
            completion = replace(completion, finish_reason="stop", stop_reason=stop)
        self.ended = completion.finish_reason is not None
        text = detokenizer.get_next_output_text(self.ended, delta=True)
        return replace(completion, text=text, token_ids=tokens, logprobs=logprobs)

    def rest(self) -> tuple[TokensInput | MultiModalInput, SamplingParams]:
        """Give what the core is asked for."""
        given, parameters = copy.copy(self._given), copy.copy(self._parameters)
        parameters.stop, parameters.detokenize = [], False
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

    def _reason(self, token: int, count: int) -> str | None:
        """Tell how the answer ends with a token, as the core would: stop tokens come first."""
        parameters = self._parameters
        if token == parameters.eos_token_id or token in (parameters.stop_token_ids or ()):
            return "stop"
        return "length" if count == parameters.max_tokens else None


def _request(prompt: list[int], parameters: SamplingParams) -> EngineCoreRequest:
    return EngineCoreRequest(
        request_id="",
        prompt_token_ids=prompt,
        mm_features=None,
        sampling_params=parameters,
        pooling_params=None,
        arrival_time=0.0,
        lora_request=None,
        cache_salt=None,
        data_parallel_rank=None,
    )
