"""vLLM's log probabilities in the form that goes over the wire."""

import codecs
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from protos.paddock.v1 import generation_pb2
from workers.token_bytes import TokenBytes


class Logprob(Protocol):
    """One token's log probability as vLLM gives it."""

    logprob: float
    decoded_token: str | None


class Completion(Protocol):
    """What vLLM added to an answer in a step."""

    @property
    def text(self) -> str:
        """The text, without what may yet become a stop string."""

    @property
    def token_ids(self) -> Sequence[int]:
        """The tokens."""

    @property
    def logprobs(self) -> Sequence[Mapping[int, Logprob] | None] | None:
        """For each token, the log probabilities of some tokens, it among them."""

    @property
    def finish_reason(self) -> str | None:
        """Set on the last step."""

    @property
    def stop_reason(self) -> int | str | None:
        """The stop string, where one ended the answer."""


class LogprobReader:
    """Gives the log probabilities of one answer's tokens, each with the text it is in.

    They are those of the model, before any option had its effect. A token that is held
    back, because a stop string may begin with it, waits for its text; the stop string's
    own tokens, and the one that ends the answer, are never shown. `special_tokens` tells
    whether special tokens are part of the text.
    """

    def __init__(
        self, token_bytes: TokenBytes, alternatives: int, *, special_tokens: bool = False
    ) -> None:
        self._bytes = token_bytes
        self._alternatives = alternatives
        self._waiting: deque[tuple[int, generation_pb2.TokenLogprob]] = deque()
        self._special_tokens = special_tokens
        # As tokenizers do it: what is no character becomes U+FFFD, which is a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._read = 0  # characters of tokens
        self._written = 0  # characters of text

    def read(self, completion: Completion) -> list[generation_pb2.TokenLogprob]:
        """Give the log probabilities that belong to a step's text."""
        positions = zip(completion.token_ids, completion.logprobs or (), strict=False)
        for token, found in positions:
            if found:
                self._wait(token, found)
        self._write(completion.text)
        if completion.finish_reason and not isinstance(completion.stop_reason, str):
            if completion.finish_reason == "stop" and self._waiting:
                self._waiting.pop()
            return [message for _, message in self._waiting]
        shown = []
        while self._waiting and self._waiting[0][0] < self._written:
            shown.append(self._waiting.popleft()[1])
        return shown

    def _wait(self, token: int, found: Mapping[int, Logprob]) -> None:
        message = self._message(token, found[token])
        best = sorted(found.items(), key=lambda item: -item[1].logprob)
        message.alternatives.extend(
            self._message(*alternative) for alternative in best[: self._alternatives]
        )
        in_text = self._special_tokens or not self._bytes.is_special(token)
        data = message.token_bytes if in_text else b""
        if data and not _continues_character(data):
            self._read += len(self._decoder.decode(b"", final=True))  # one that was cut off
        self._waiting.append((self._read, message))
        self._read += len(self._decoder.decode(data))

    def _write(self, text: str) -> None:
        if text and not self._written and self._waiting:
            first = self._waiting[0][1].token_bytes
            # Some tokenizers drop the space before an answer's first word.
            self._written += first.startswith(b" ") and not text.startswith(" ")
        self._written += len(text)

    def _message(self, token: int, logprob: Logprob) -> generation_pb2.TokenLogprob:
        data = self._bytes.of(token, logprob.decoded_token)
        return generation_pb2.TokenLogprob(
            token=data.decode("utf-8", "replace"), logprob=logprob.logprob, token_bytes=data
        )


def _continues_character(data: bytes) -> bool:
    return data[0] & 0b1100_0000 == 0b1000_0000
