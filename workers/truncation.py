"""What is kept of a prompt that is longer than the window; the rules are Ollama's.

A conversation loses its oldest messages, one by one, until it fits. System messages and the
last message always stay, and a tool's results stay with the call that asked for them. A
single text loses its middle.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeVar

from protos.paddock.v1.generation_pb2 import Message

T = TypeVar("T")


class History:
    """A conversation that can lose its oldest messages."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = list(messages)
        self._system = [
            index for index, message in enumerate(self._messages) if message.role == "system"
        ]

    def since(self, start: int) -> list[Message]:
        """Give the messages from `start` on, after the system messages before it."""
        system = self._system[: bisect_left(self._system, start)]
        return [*(self._messages[index] for index in system), *self._messages[start:]]

    def starts(self, tokens: int, longest_token: int) -> list[int]:
        """Give where a shorter conversation may begin, in order; the last is the shortest.

        Left out is what cannot fit into `tokens` because a message takes at least one, and one
        for each `longest_token` characters. Such a conversation need not even be rendered.
        """
        blocks = _blocks(self._messages)
        floor = len(self._messages)
        while floor > 0 and tokens > 0:
            floor -= 1
            tokens -= 1 + len(self._messages[floor].content) // longest_token
        return sorted({*blocks[floor:], *blocks[-1:]})

    def turns(self, starts: Sequence[int]) -> list[int]:
        """Leave of `starts` those where a user speaks, and the last."""
        spoken = [start for start in starts[:-1] if self._messages[start].role == "user"]
        return [*spoken, *starts[-1:]]


def first_that_fits(candidates: Sequence[int], make: Callable[[int], T | None]) -> T | None:
    """Give what `make` makes of the first candidate for which it makes something.

    Candidates get shorter, so all after that one would do as well. The first is tried first,
    as it usually is the one. Then growing steps back from the last, and bisection between
    the last two: the work is that of making what fits a few times, however long the rest is.
    """
    found = make(candidates[0]) if candidates else None
    if found is not None:
        return found
    too_long, fitting, step = 0, len(candidates), 1
    while fitting - too_long > 1:
        index = len(candidates) - step
        if index <= too_long:
            index = (too_long + fitting) // 2
        made = make(candidates[index])
        if made is None:
            too_long, step = index, len(candidates)
        else:
            found, fitting, step = made, index, 2 * step
    return found


def cut(window: int, num_keep: int) -> tuple[int, int]:
    """Give how many tokens of a text's beginning and of its end stay when it is cut.

    The beginning is `num_keep` tokens, all that fit when that is negative. Half of the rest
    of the window is left free for the answer.
    """
    most = window - 1
    beginning = min(num_keep, most) if num_keep >= 0 else most
    free = max((window - beginning) // 2, 1)
    return beginning, window - free - beginning


def _blocks(messages: Sequence[Message]) -> list[int]:
    """Give for each message where the block that it belongs to begins.

    A call and the results that follow it are one block, every other message is its own.
    """
    blocks: list[int] = []
    calls = False
    for index, message in enumerate(messages):
        follows_call = calls and message.role == "tool"
        blocks.append(blocks[-1] if follows_call else index)
        calls = follows_call or (message.role == "assistant" and bool(message.tool_calls))
    return blocks
