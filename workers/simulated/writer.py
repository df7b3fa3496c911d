"""Writes one answer, a token a step."""

import math
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from protos.paddock.v1 import generation_pb2
from workers.engine import Prompt, Step
from workers.logits.settings import read_settings
from workers.logprobs import Logprob, LogprobReader
from workers.simulated.answer_text import AnswerText
from workers.simulated.json_answers import formatted_answer
from workers.simulated.language import Prose, Recital, Source, read, spread
from workers.simulated.tokenizer import SimulatedTokenizer, VocabularyBytes
from workers.simulated.vocabulary import END, SPACED, TOKENS

_STOP = generation_pb2.FINISH_REASON_STOP
_LENGTH = generation_pb2.FINISH_REASON_LENGTH
_NO_REASON = generation_pb2.FINISH_REASON_UNSPECIFIED
_REASONS = {_NO_REASON: None, _STOP: "stop", _LENGTH: "length"}

_TOKENIZER = SimulatedTokenizer()
_BYTES = VocabularyBytes()


@dataclass
class _Logprob:
    logprob: float
    decoded_token: str | None


@dataclass(frozen=True)
class _Completion:
    """A step as `LogprobReader` takes it."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[Mapping[int, Logprob], ...]
    finish_reason: str | None
    stop_reason: str | None


class Writer:
    """One answer, a pure function of its prompt and its request.

    `limit` is how many tokens it may have, `longest` how many it has at most by itself.
    `variant` tells adapters apart.

    Raises:
        InvalidRequest: the format is none.
    """

    def __init__(
        self,
        prompt: Prompt,
        generation: generation_pb2.Generation,
        limit: int,
        longest: int,
        variant: str = "",
    ) -> None:
        self.tokens = list(prompt.tokens)
        """The prompt and what is written so far."""
        self._room = limit
        self._salt = spread(_seed(generation) + zlib.crc32(variant.encode()))
        self._source = self._choose_source(prompt, generation, longest)
        self._text = AnswerText(generation.options.stop)
        self._logprobs: LogprobReader | None = None
        if generation.HasField("logprobs"):
            self._logprobs = LogprobReader(
                _BYTES, generation.logprobs, special_tokens=prompt.special_tokens
            )
        self._alternatives = generation.logprobs

    def _choose_source(
        self, prompt: Prompt, generation: generation_pb2.Generation, longest: int
    ) -> Source:
        salt = self._salt
        for image in prompt.images:
            salt = spread(salt + zlib.crc32(image))
        answer = formatted_answer(generation.format, spread(read(prompt.tokens) + salt))
        if answer is None:
            return Prose(prompt.tokens, longest, salt)
        return Recital(_TOKENIZER.encode(answer), salt)

    def write(self, token: int | None = None) -> Step:
        """Write the next token, or one that was written elsewhere."""
        if token is None:
            token = self._source.next()
        likely = self._likely(token) if self._logprobs else {}
        self._source.take(token)
        self.tokens.append(token)
        self._room -= 1
        text, reason = self._add(token)
        if not self._logprobs:
            return Step(text, (token,), reason=reason)
        completion = _Completion(text, (token,), (likely,), _REASONS[reason], self._text.stop)
        return Step(text, (token,), self._logprobs.read(completion), reason)

    def _add(self, token: int) -> tuple[str, "generation_pb2.FinishReason.ValueType"]:
        if token == END:
            return self._text.finish(), _STOP
        text = self._text.add(TOKENS[token])
        if self._text.stop is not None:
            return text, _STOP
        if self._room == 0:
            return text + self._text.finish(), _LENGTH
        return text, _NO_REASON

    def _likely(self, token: int) -> dict[int, Logprob]:
        """Make up log probabilities, of the token and some others: each half of the one before."""
        chance = self._source.chance
        others = (SPACED[(chance + 7 * number) % len(SPACED)] for number in range(len(SPACED)))
        likely = islice((each for each in others if each != token), self._alternatives)
        first = (chance % 1000 + 1) / 1001
        return {
            each: _Logprob(math.log(first / 2**place), TOKENS[each].decode("utf-8", "replace"))
            for place, each in enumerate((token, *likely))
        }


def _seed(generation: generation_pb2.Generation) -> int:
    """Give what the choice of tokens depends on besides those before: greedily, on nothing."""
    settings = read_settings(generation.options)
    if settings.likeliest:
        return 0
    return secrets.randbits(63) if settings.seed is None else settings.seed + 1
