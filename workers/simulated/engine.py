"""A simulated engine behind the engine seam."""

import asyncio
import copy
import math
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

from common.errors import CapabilityMissing, InvalidRequest, WorkerLost
from protos.paddock.v1 import generation_pb2
from workers.engine import Limits, Occupancy, Prompt, Step, Take, Timing
from workers.simulated.batch import Batch, Counts, Place
from workers.simulated.language import read
from workers.simulated.simulation import Simulation
from workers.simulated.tokenizer import SimulatedTokenizer
from workers.simulated.vocabulary import TOKENS
from workers.simulated.writer import Writer
from workers.window import answer_limit

_NO_TIME = Timing(0, 0)


class SimulatedEngine:
    """One model that answers in common words, as fast as it is told to.

    An answer is a pure function of prompt, options and format, so that every such engine gives
    the same.
    """

    tokenizer = SimulatedTokenizer()

    def __init__(
        self,
        name: str,
        limits: Limits,
        simulation: Simulation,
        counts: Counts,
        *,
        dimensions: int = 0,
        sees: bool = False,
    ) -> None:
        """`dimensions` are those of a model that embeds; 0: it generates."""
        self._name = name
        self._limits = limits
        self._simulation = simulation
        self._counts = counts
        self._dimensions = dimensions
        self._sees = sees
        self._adapter = ""
        self._batch = Batch(simulation, limits.max_sequences, counts)
        self._pooling = asyncio.Lock()

    @property
    def limits(self) -> Limits:
        """What it can hold."""
        return self._limits

    @property
    def image_placeholder(self) -> str | None:
        """Nothing: a model that sees finds its images by itself."""
        return "" if self._sees else None

    async def generate(
        self, prompt: Prompt, generation: generation_pb2.Generation, take: Take | None = None
    ) -> AsyncGenerator[Step, None]:
        """Continue a prompt; see the seam."""
        if self._dimensions:
            raise CapabilityMissing(f'"{self._name}" does not support generate')
        tokens = prompt.tokens
        limit = answer_limit(generation.options, len(tokens), self._limits.context_length)
        _check([*tokens, *prompt.generated])
        longest = self._simulation.answer_length
        writer = Writer(prompt, generation, limit, longest, self._adapter)
        self._require_life()
        for token in prompt.generated:
            step = writer.write(token)
            if step.reason:
                yield replace(step, timing=_NO_TIME, prompt_tokens=len(tokens))
                return
            yield step
        place = Place(writer, len(tokens), shortcut=take)
        self._batch.enter(place)
        try:
            ended = False
            while not ended:
                step = await place.take()
                ended = bool(step.reason)
                yield step
        finally:
            self._batch.leave(place)

    async def adapt(self, name: str, folder: Path) -> "SimulatedEngine":
        """Give this engine with an adapter, which gives other answers; see the seam."""
        self._require_life()
        adapted = copy.copy(self)
        adapted._adapter = name
        return adapted

    async def embed(self, prompts: list[list[int]]) -> list[list[float]]:
        """Give a vector of length 1 for each prompt; see the seam."""
        if not self._dimensions:
            raise CapabilityMissing(f'"{self._name}" does not support embeddings')
        async with self._pooling:
            self._require_life()
            tokens = sum(map(len, prompts))
            await asyncio.sleep(self._simulation.token_time + self._simulation.prompt_time * tokens)
            self._counts.prompt_tokens += tokens
            self._require_life()
            return [_vector(prompt, self._dimensions) for prompt in prompts]

    async def sleep(self) -> None:
        """Do nothing for a while; see the seam."""
        self._require_life()

    async def wake(self) -> None:
        """Take the time that waking takes; see the seam."""
        await asyncio.sleep(self._simulation.wake_time)
        self._require_life()

    @property
    def occupancy(self) -> Occupancy:
        """How full it is; see the seam."""
        return self._batch.occupancy

    @property
    def alive(self) -> bool:
        """Whether it was not ended."""
        return not self._batch.closed.is_set()

    async def died(self) -> None:
        """Return when it is not alive any more."""
        await self._batch.closed.wait()

    async def aclose(self) -> None:
        """End it; see the seam."""
        self._batch.close()

    def _require_life(self) -> None:
        if not self.alive:
            raise WorkerLost


def _check(tokens: Sequence[int]) -> None:
    if tokens and not 0 <= min(tokens) <= max(tokens) < len(TOKENS):
        raise InvalidRequest("the prompt has a token id that is out of the vocabulary")


def _vector(prompt: Sequence[int], dimensions: int) -> list[float]:
    chances = random.Random(read(prompt))
    values = [chances.gauss() for _ in range(dimensions)]
    length = math.hypot(*values)
    return [value / length for value in values]
