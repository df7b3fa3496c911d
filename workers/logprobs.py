"""vLLM's log probabilities in the form that goes over the wire."""

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
    own tokens, and the one that ends the answer, are never shown.
    """

    def __init__(self, token_bytes: TokenBytes, alternatives: int) -> None:
        self._bytes = token_bytes
        self._alternatives = alternatives
        self._waiting: deque[tuple[int, generation_pb2.TokenLogprob]] = deque()
        self._read = 0  # bytes of tokens
        self._written = 0  # bytes of text

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
        self._waiting.append((self._read, message))
        if not self._bytes.is_special(token):
            self._read += len(message.token_bytes)

    def _write(self, text: str) -> None:
        if text and not self._written and self._waiting:
            first = self._waiting[0][1].token_bytes
            # Some tokenizers drop the space before an answer's first word.
            self._written += first.startswith(b" ") and not text.startswith(" ")
        self._written += len(text.encode())

    def _message(self, token: int, logprob: Logprob) -> generation_pb2.TokenLogprob:
        data = self._bytes.of(token, logprob.decoded_token or "")
        return generation_pb2.TokenLogprob(
            token=data.decode("utf-8", "replace"), logprob=logprob.logprob, token_bytes=data
        )
