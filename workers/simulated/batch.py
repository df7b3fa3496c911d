"""The step clock: one loop that runs all sequences of an engine, as engines do."""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field, replace

from common.durations import SECOND
from common.errors import WorkerLost
from workers.engine import Occupancy, Step, Take, Timing
from workers.simulated.prefix_cache import PrefixCache
from workers.simulated.simulation import Simulation
from workers.simulated.writer import Writer

logger = logging.getLogger(__name__)

_MOST_PROMPT = 2048
"""Tokens of prompts that one step computes, so that a long one does not hold up the others."""


@dataclass
class Counts:
    """What was computed so far."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of them that were found in the prefix cache."""
    completion_tokens: int = 0


@dataclass(eq=False)
class Place:
    """One sequence in the batch, and its steps that nobody has taken yet."""

    writer: Writer
    prompt: int
    """Tokens of its prompt."""
    left: int = 0
    """Tokens before its next one that are still to be computed."""
    scheduled: float = 0.0
    first: float | None = None
    """When its first token came."""
    steps: deque[Step | None] = field(default_factory=deque)
    """None: the engine ended."""
    waiter: asyncio.Future[None] | None = None
    shortcut: Take | None = None
    """Takes steps at once; see the engine seam."""

    async def take(self) -> Step:
        """Wait for the next step.

        Raises:
            WorkerLost: the engine ended.
        """
        while not self.steps:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        step = self.steps.popleft()
        if step is None:
            raise WorkerLost
        return step

    def give(self, step: Step | None) -> None:
        """Add a step, or have it taken at once."""
        is_waited_for = self.waiter is not None and not self.waiter.done()
        if step and is_waited_for and self.shortcut and self.shortcut(step):
            return
        self.steps.append(step)
        if self.waiter and is_waited_for:
            self.waiter.set_result(None)


class Batch:
    """Runs up to `max_sequences` at once; the others wait in order.

    A step computes what is left of prompts, and a token of every sequence whose prompt is
    computed. It takes as long as `Simulation` says, whatever else the machine does: a step
    that was late makes the next one shorter.
    """

    def __init__(self, simulation: Simulation, max_sequences: int, counts: Counts) -> None:
        self._simulation = simulation
        self._max_sequences = max_sequences
        self._counts = counts
        self._cache = PrefixCache(simulation.cache)
        self._waiting: dict[Place, None] = {}
        self._running: dict[Place, None] = {}
        self._wake = asyncio.Event()
        self._step_ends = 0.0
        self.closed = asyncio.Event()
        self._loop = asyncio.create_task(self._run())

    @property
    def occupancy(self) -> Occupancy:
        """How full it is: what runs, and what that takes of the cache."""
        held = sum(len(place.writer.tokens) - place.left for place in self._running)
        most = self._simulation.cache
        return Occupancy(len(self._running), min(held / most, 1.0) if most else 0.0)

    def enter(self, place: Place) -> None:
        """Let a sequence wait for its turn.

        Raises:
            WorkerLost: nothing runs any more.
        """
        if self.closed.is_set():
            raise WorkerLost
        self._waiting[place] = None
        self._wake.set()

    def leave(self, place: Place) -> None:
        """Free a sequence's place, whether it has ended or not."""
        self._waiting.pop(place, None)
        if place in self._running:
            del self._running[place]
            self._cache.add(place.writer.tokens)

    def close(self) -> None:
        """Stop; what runs and waits is lost."""
        self.closed.set()
        self._loop.cancel()
        for place in (*self._running, *self._waiting):
            place.give(None)

    async def _run(self) -> None:
        try:
            while True:
                await self._step()
        except Exception:
            logger.exception("a simulated engine failed")
        finally:
            self.close()

    async def _step(self) -> None:
        if not self._running and not self._waiting:
            self._wake.clear()
            await self._wake.wait()
            self._step_ends = time.monotonic()
        self._admit()
        await self._sleep(self._compute_prompts())
        now = time.monotonic()
        for place in list(self._running):
            if not place.left:
                self._advance(place, now)

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._max_sequences:
            place = next(iter(self._waiting))
            del self._waiting[place]
            self._running[place] = None
            place.scheduled = time.monotonic()
            tokens = place.writer.tokens
            found = min(self._cache.find(tokens), len(tokens) - 1)
            place.left = len(tokens) - found
            self._counts.prompt_tokens += len(tokens)
            self._counts.cached_tokens += found

    def _compute_prompts(self) -> float:
        """Compute what the next step can of the prompts; give the seconds that it takes."""
        room = _MOST_PROMPT
        for place in self._running:
            if place.left:
                computed = min(place.left, room)
                place.left -= computed
                room -= computed
                if not place.left:
                    self._cache.add(place.writer.tokens)
        simulation = self._simulation
        return (
            simulation.token_time
            + simulation.sequence_time * len(self._running)
            + simulation.prompt_time * (_MOST_PROMPT - room)
        )

    async def _sleep(self, duration: float) -> None:
        now = time.monotonic()
        self._step_ends = max(self._step_ends + duration, now)
        await asyncio.sleep(self._step_ends - now)

    def _advance(self, place: Place, now: float) -> None:
        """Write a sequence's next token."""
        step = place.writer.write()
        self._counts.completion_tokens += 1
        if place.first is None or step.reason:
            place.first = place.first or now
            prompt, completion = place.first - place.scheduled, now - place.first
            timing = Timing(max(int(prompt * SECOND), 1), int(completion * SECOND))
            step = replace(step, timing=timing, prompt_tokens=place.prompt)
        place.give(step)
        if step.reason:
            self.leave(place)
