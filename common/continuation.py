"""Going on with an answer when whoever made it is lost: what came, and what is new of a retelling.

Another worker, or another router, tells such an answer again from its beginning: the same text
with the same tokens, in other deltas.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from protos.paddock.v1 import generation_pb2


@dataclass
class _Extent:
    """How much of an answer: characters of text, and numbers of everything else."""

    content: int = 0
    thinking: int = 0
    tool_calls: int = 0
    logprobs: int = 0
    tokens: int = 0

    def add(self, delta: generation_pb2.Delta) -> None:
        self.content += len(delta.content)
        self.thinking += len(delta.thinking)
        self.tool_calls += len(delta.tool_calls)
        self.logprobs += len(delta.logprobs)
        self.tokens += len(delta.tokens)

    def covers(self, other: "_Extent") -> bool:
        return (
            self.content >= other.content
            and self.thinking >= other.thinking
            and self.tool_calls >= other.tool_calls
            and self.logprobs >= other.logprobs
            and self.tokens >= other.tokens
        )


class Continuation:
    """What a receiver has of one answer, which may be told more than once.

    Args:
        begun: what was made of it before this receiver came in; all of it is to be passed on
            once more.
        clock: nanoseconds, monotonic.
        arrived: when the request did, by the clock; now unless given.
    """

    def __init__(
        self,
        begun: generation_pb2.Resumption | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        arrived: int | None = None,
    ) -> None:
        self._clock = clock
        self._arrived = clock() if arrived is None else arrived
        self._answering: int | None = None
        self._usage: generation_pb2.Usage | None = None
        self._retold = begun is not None
        self._passed = _Extent()
        self._told = self._passed  # another one while what comes has come before
        self.tokens: list[int] = []
        """All that another engine needs to go on: see `Delta.tokens`."""
        if begun is not None:
            self.tokens.extend(begun.tokens)
            self._arrived -= begun.elapsed
            if begun.HasField("usage"):
                self._usage = begun.usage
                self._answering = clock() - begun.answering

    def take(self, delta: generation_pb2.Delta) -> generation_pb2.Delta | None:
        """Take what comes next; give what is new of it, and None where that is nothing."""
        if self._usage is None and delta.HasField("usage"):
            self._usage = delta.usage
            self._answering = self._clock()
        known = len(self.tokens) - self._told.tokens
        if known <= 0:
            self.tokens.extend(delta.tokens)
        elif len(delta.tokens) > known:
            self.tokens.extend(delta.tokens[known:])
        if self._told is self._passed:
            self._passed.add(delta)
            return delta
        return self._cut(delta)

    def take_text(self, content: str, token: int) -> bool:
        """Take a token and its content, all of it new; False: ask `take` what of it is new."""
        passed = self._passed
        if self._told is not passed or len(self.tokens) != passed.tokens:
            return False
        self.tokens.append(token)
        passed.content += len(content)
        passed.tokens += 1
        return True

    def restart(self) -> None:
        """The answer will be told again from its beginning."""
        self._retold = True
        nothing = _Extent()
        self._told = self._passed if nothing.covers(self._passed) else nothing

    def resumption(self) -> generation_pb2.Resumption:
        """Give what another router needs to go on."""
        now = self._clock()
        return generation_pb2.Resumption(
            tokens=self.tokens,
            usage=self._usage,
            elapsed=now - self._arrived,
            answering=0 if self._answering is None else now - self._answering,
        )

    def complete(self, usage: generation_pb2.Usage) -> None:
        """Correct the durations of an answer that has ended, in place.

        The total is that of the whole. Of an answer that was told again, load and prompt took
        what they took at first, and the rest what it took here, the interruption included.
        """
        now = self._clock()
        usage.total_duration = now - self._arrived
        if self._retold and self._usage is not None and self._answering is not None:
            usage.load_duration = self._usage.load_duration
            usage.prompt_duration = self._usage.prompt_duration
            usage.completion_duration = now - self._answering

    def _cut(self, delta: generation_pb2.Delta) -> generation_pb2.Delta | None:
        told, passed = self._told, self._passed
        fresh = generation_pb2.Delta(
            content=delta.content[max(passed.content - told.content, 0) :],
            thinking=delta.thinking[max(passed.thinking - told.thinking, 0) :],
            tool_calls=delta.tool_calls[max(passed.tool_calls - told.tool_calls, 0) :],
            logprobs=delta.logprobs[max(passed.logprobs - told.logprobs, 0) :],
            tokens=delta.tokens[max(passed.tokens - told.tokens, 0) :],
        )
        told.add(delta)
        passed.add(fresh)
        if told.covers(passed):
            self._told = passed
        return fresh if fresh.ByteSize() else None
