"""What the other end of a Run call is yet to be told about its sequences."""

import asyncio
from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message


class CommandMessage(Protocol):
    """What a Run call takes: sequences to start, and the numbers of those to cancel."""

    def __init__(self, *, starts: Iterable[Any], cancels: Iterable[int]) -> None: ...


C = TypeVar("C", bound=CommandMessage)

# Bytes of starts that go into one message; a larger one goes alone.
_MOST_JOINED = 64 * 1024


class Commands(Generic[C]):
    """Keeps commands until they are taken, as many at once as have come.

    The cancellation of a sequence whose start was not taken yet takes back the start instead:
    what waits for a peer that reads nothing, images and all, is never more than what
    callers still wait for.
    """

    def __init__(self, kind: type[C]) -> None:
        self._kind = kind
        self._starts: dict[int, Message] = {}
        self._cancels: list[int] = []
        self._closed = False
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._starts) + len(self._cancels)

    def start(self, sequence: int, start: Message) -> None:
        """Start a sequence."""
        self._starts[sequence] = start
        self._wake.set()

    def cancel(self, sequence: int) -> None:
        """Cancel a sequence, or take back its start."""
        if self._starts.pop(sequence, None) is None:
            self._cancels.append(sequence)
            self._wake.set()

    def clear(self) -> None:
        """Forget them all."""
        self._starts.clear()
        self._cancels.clear()

    def close(self) -> None:
        """Let `take` end once everything was taken."""
        self._closed = True
        self._wake.set()

    async def take(self) -> C | None:
        """Wait for the next commands; None once closed."""
        while not len(self) and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        if not len(self):
            return None
        cancels, self._cancels = self._cancels, []
        return self._kind(starts=self._take_starts(), cancels=cancels)

    def _take_starts(self) -> list[Message]:
        taken: list[Message] = []
        size = 0
        for sequence, start in list(self._starts.items()):
            size += start.ByteSize()
            if taken and size > _MOST_JOINED:
                break
            taken.append(start)
            del self._starts[sequence]
        return taken
