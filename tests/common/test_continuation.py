"""Answers that are told again after an interruption."""

from collections.abc import Callable, Iterator
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.continuation import Continuation
from common.deltas import append_delta
from protos.paddock.v1 import generation_pb2

Delta = generation_pb2.Delta
Take = Callable[[Continuation, Delta], Delta | None]
SECOND = 1_000_000_000


def answer() -> list[Delta]:
    """Give the deltas of an answer, one a token."""
    words = ["Ein ", "Bär ", "", "schläft", " 🐻", "."]
    deltas = [Delta(thinking=f"{number} ", tokens=[number]) for number in range(4)]
    deltas += [Delta(content=word, tokens=[10 + at]) for at, word in enumerate(words)]
    deltas.append(Delta(tokens=[-1]))
    deltas.append(Delta(tool_calls=[generation_pb2.ToolCall(id="a", name="f")], tokens=[20]))
    deltas.append(Delta(tool_calls=[generation_pb2.ToolCall(id="b", name="g")], tokens=[21]))
    deltas.append(Delta(logprobs=[generation_pb2.TokenLogprob(token="x")], tokens=[22]))
    deltas[0].usage.CopyFrom(generation_pb2.Usage(prompt_tokens=7))
    return deltas


def joined(deltas: list[Delta]) -> Delta:
    whole = Delta()
    for delta in deltas:
        append_delta(whole, delta)
    whole.tokens[:] = [token for delta in deltas for token in delta.tokens]
    whole.ClearField("usage")
    return whole


def grouped(deltas: list[Delta], sizes: Iterator[int]) -> Iterator[Delta]:
    """Join deltas in groups, as a slow reader gets them."""
    rest = list(deltas)
    while rest:
        size = next(sizes)
        yield joined(rest[:size])
        rest = rest[size:]


class Clock:
    """Nanoseconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100 * SECOND

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


def take(continuation: Continuation, delta: Delta) -> Delta | None:
    """Take a delta in the cheapest way."""
    plain = Delta(content=delta.content, tokens=delta.tokens)
    is_plain = delta == plain and len(delta.tokens) == 1
    if is_plain and continuation.take_text(delta.content, delta.tokens[0]):
        return plain
    return continuation.take(delta)


@pytest.mark.parametrize("take", [take, Continuation.take])
@given(
    cuts=st.lists(st.integers(0, len(answer())), max_size=4),
    sizes=st.lists(st.integers(1, 5), min_size=1),
)
def test_nothing_is_lost_or_told_twice(take: Take, cuts: list[int], sizes: list[int]) -> None:
    passed: list[Delta] = []
    continuation = Continuation()
    for cut in [*cuts, None]:
        passed += filter(
            None, [take(continuation, each) for each in grouped(answer()[:cut], cycle(sizes))]
        )
        continuation.restart()
    assert joined(passed) == joined(answer())
    assert continuation.tokens == list(joined(answer()).tokens)


@pytest.mark.parametrize("take", [take, Continuation.take])
@given(cut=st.integers(0, len(answer())), told=st.integers(0, len(answer())))
def test_what_was_begun_elsewhere_is_passed_on_once_more(take: Take, cut: int, told: int) -> None:
    first = Continuation()
    for delta in answer()[:cut]:
        take(first, delta)
    second = Continuation(first.resumption())
    passed = [take(second, delta) for delta in answer()[:told]]
    assert joined([delta for delta in passed if delta]) == joined(answer()[:told])
    assert second.tokens == list(joined(answer()[: max(cut, told)]).tokens)


def test_what_came_before_gives_nothing() -> None:
    continuation = Continuation()
    continuation.take(answer()[0])
    continuation.restart()
    assert continuation.take(answer()[0]) is None


@pytest.mark.parametrize("begun", [0, 4])
def test_what_the_prompt_took_is_passed_on_once(begun: int) -> None:
    continuation = Continuation()
    passed = [continuation.take(delta) for delta in answer()[:begun]]
    continuation.restart()
    passed += [continuation.take(delta) for delta in answer()]
    told = [delta.usage for delta in passed if delta and delta.HasField("usage")]
    assert [usage.prompt_tokens for usage in told] == [7]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_durations_of_an_answer_that_moved(elsewhere: bool) -> None:
    clock = Clock()
    continuation = Continuation(clock=clock)
    clock.sleep(2)
    begun = Delta(content="a", tokens=[1])
    begun.usage.load_duration, begun.usage.prompt_duration = SECOND, SECOND // 2
    continuation.take(begun)
    clock.sleep(3)
    if elsewhere:
        continuation = Continuation(continuation.resumption(), clock)
    else:
        continuation.restart()
    clock.sleep(4)
    usage = generation_pb2.Usage(load_duration=5, prompt_duration=6, completion_duration=7)
    continuation.complete(usage)
    assert usage == generation_pb2.Usage(
        total_duration=9 * SECOND,
        load_duration=SECOND,
        prompt_duration=SECOND // 2,
        completion_duration=7 * SECOND,
    )


def test_durations_of_an_answer_that_stayed_are_the_workers() -> None:
    clock = Clock()
    continuation = Continuation(clock=clock)
    continuation.take(answer()[0])
    clock.sleep(3)
    usage = generation_pb2.Usage(load_duration=5, prompt_duration=6, completion_duration=7)
    continuation.complete(usage)
    assert usage == generation_pb2.Usage(
        total_duration=3 * SECOND, load_duration=5, prompt_duration=6, completion_duration=7
    )
