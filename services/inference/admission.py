"""Which requests go ahead: as many as a model's engines run at once. The others wait in turn."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from common.errors import Busy, Interrupted, TimedOut
from services.inference.fair_queue import FairQueue

Capacity = Callable[[str], int]
"""Tells how many sequences of a model this router may have in flight, by its weights."""

_CHANGES_INTERVAL = 0.01  # seconds; changes come in swarms
_LONGEST_ADVICE = 60.0  # seconds after which a refused client is told to come back
# How many requests the mean duration looks back on, about.
_MEMORY = 16


class Queue(NamedTuple):
    """A model's requests."""

    model: str
    admitted: int
    waiting: int
    oldest: float
    """Seconds that the first of those has waited."""


@dataclass
class _Line:
    """The requests of one model."""

    model: str = ""
    admitted: int = 0
    waiting: FairQueue["asyncio.Future[None]"] = field(default_factory=FairQueue)
    since: dict["asyncio.Future[None]", float] = field(default_factory=dict)
    """When each of those began to wait, the longest first."""
    duration: float = 0.0
    """Seconds that a request takes, on the mean."""

    def begin(self, client: str) -> None:
        self.admitted += 1
        self.waiting.begin(client)

    def end(self, client: str) -> None:
        self.admitted -= 1
        self.waiting.end(client)


class Admission:
    """Holds requests back, so that clients take turns and a queue has an end.

    Args:
        max_queue: requests of one model that may wait.
        capacity: how many may go ahead, at least one.
        patience: seconds that a request may wait; None: for ever.
    """

    def __init__(self, max_queue: int, capacity: Capacity, patience: float | None = None) -> None:
        self._max_queue = max_queue
        self._capacity = capacity
        self._patience = patience
        self._lines: dict[str, _Line] = {}
        self._leaving = False
        self.refused = 0
        """Requests that found a full queue."""

    @asynccontextmanager
    async def admit(self, weights: str, client: str, model: str = "") -> AsyncIterator[None]:
        """Wait for a request's turn, and hold its place within the block.

        `model` is the name under which the weights are known to whoever looks at the queues.

        Raises:
            Busy: too many wait already.
            TimedOut: its turn did not come in time.
            Interrupted: this process leaves.
        """
        line = self._lines.setdefault(weights, _Line())
        line.model = model
        if line.waiting or line.admitted >= self._capacity(weights):
            await self._wait(weights, line, client)
        else:
            line.begin(client)
        began = time.monotonic()
        try:
            yield
        finally:
            self._free(weights, line, client, began)

    async def follow(self, change: Callable[[], Awaitable[None]]) -> None:
        """Look after each change among the workers who can go ahead, until cancelled."""
        while True:
            await change()
            await asyncio.sleep(_CHANGES_INTERVAL)
            self._refresh()

    def _refresh(self) -> None:
        for weights, line in list(self._lines.items()):
            self._call_up(weights, line)

    def leave(self) -> None:
        """Send away who waits, and whoever else would have to."""
        self._leaving = True
        for line in self._lines.values():
            while line.waiting:
                client, turn = line.waiting.pop()
                line.waiting.end(client)
                if not turn.done():
                    turn.set_exception(Interrupted("the router is shutting down"))

    def waiting(self, weights: str) -> int:
        """Count the requests of a model that wait."""
        line = self._lines.get(weights)
        return len(line.waiting) if line else 0

    def queues(self) -> list[Queue]:
        """Describe the requests of each model that has any."""
        now = time.monotonic()
        return [
            Queue(
                line.model,
                line.admitted,
                len(line.waiting),
                now - next(iter(line.since.values()), now),
            )
            for line in self._lines.values()
        ]

    async def _wait(self, weights: str, line: _Line, client: str) -> None:
        if self._leaving:
            raise Interrupted("the router is shutting down")
        if len(line.waiting) >= self._max_queue:
            self.refused += 1
            raise Busy(
                "server busy, please try again.  maximum pending requests exceeded",
                retry_after=self._advice(weights, line),
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.put(client, turn)
        line.since[turn] = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            line.waiting.discard(client, turn)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # Its turn had come just then.
                line.end(client)
                self._call_up(weights, line)
            if isinstance(error, TimeoutError):
                raise TimedOut(
                    f"the model was busy for {self._patience:g} s; try again later"
                ) from None
            raise
        finally:
            del line.since[turn]
            self._forget(weights, line)

    def _free(self, weights: str, line: _Line, client: str, began: float) -> None:
        line.end(client)
        duration = time.monotonic() - began
        line.duration += (duration - line.duration) / (_MEMORY if line.duration else 1)
        self._call_up(weights, line)

    def _call_up(self, weights: str, line: _Line) -> None:
        room = self._capacity(weights) if line.waiting else 0
        while line.waiting and line.admitted < room:
            client, turn = line.waiting.pop()
            if turn.done():  # it has just been cancelled
                line.waiting.end(client)
            else:
                line.admitted += 1
                turn.set_result(None)
        self._forget(weights, line)

    def _forget(self, weights: str, line: _Line) -> None:
        if not (line.admitted or line.since) and self._lines.get(weights) is line:
            del self._lines[weights]

    def _advice(self, weights: str, line: _Line) -> float:
        """Guess, in seconds, when half of the queue will be gone."""
        seconds = len(line.waiting) / 2 * line.duration / self._capacity(weights)
        return float(min(max(math.ceil(seconds), 1), _LONGEST_ADVICE))
