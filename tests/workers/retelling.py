"""Answers that are left in the middle and gone on with elsewhere, as who receives them sees it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from common.continuation import Continuation
from common.deltas import append_delta
from protos.paddock.v1 import generation_pb2
from tests.workers.test_answer import Answered

Ask = Callable[[Sequence[int]], Awaitable[Answered]]
"""Asks for an answer, after the tokens that another engine generated."""


def joined(deltas: Iterable[generation_pb2.Delta]) -> generation_pb2.Delta:
    whole = generation_pb2.Delta()
    for delta in deltas:
        append_delta(whole, delta)
    for call in whole.tool_calls:
        call.id = ""  # by chance
    return whole


async def assert_goes_on(ask: Ask, every: int = 1) -> Answered:
    """Leave an answer after each of its deltas, or each so many; it must come out the same."""
    undisturbed = await ask(())
    told = undisturbed.deltas
    for left in range(0, len(told) + 1, every):
        received = Continuation()
        passed = [received.take(delta) for delta in told[:left]]
        received.restart()
        again = await ask(received.tokens)
        passed += [received.take(delta) for delta in again.deltas]
        assert_same(joined(filter(None, passed)), joined(told), f"left after {left} deltas")
        assert again.answer.reason == undisturbed.answer.reason
        segments, others = again.answer.segments, undisturbed.answer.segments
        assert segments.answered == others.answered
        assert segments.prompt_tokens == others.prompt_tokens
        assert segments.held == others.held
    return undisturbed


def assert_same(one: generation_pb2.Delta, other: generation_pb2.Delta, where: str) -> None:
    assert (one.thinking, one.content) == (other.thinking, other.content), where
    assert list(one.tool_calls) == list(other.tool_calls), where
    assert list(one.tokens) == list(other.tokens), where
    assert len(one.logprobs) == len(other.logprobs), where
    for mine, theirs in zip(one.logprobs, other.logprobs, strict=True):
        assert mine.token_bytes == theirs.token_bytes, where
        assert abs(mine.logprob - theirs.logprob) < 1e-3, where
        assert len(mine.alternatives) == len(theirs.alternatives), where
