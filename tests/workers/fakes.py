"""A deterministic engine behind the worker's seam: it says its prompt over and over again."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from copy import copy
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from threading import Event
from typing import Any

from common.errors import CapabilityMissing, InvalidRequest, LoadFailed, PaddockError, WorkerLost
from protos.paddock.v1 import generation_pb2, model_pb2
from workers.cache_entry import HeldFolder, hold
from workers.engine import Limits, Occupancy, Plan, Prompt, Rest, Step, Take, Timing
from workers.window import answer_limit


class LetterTokenizer:
    """One token a character; a test can make it slow."""

    chat_template = "{role}: {content}\n"
    bos_token = None
    added_tokens_decoder: dict[int, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.free = Event()
        self.free.set()

    def __deepcopy__(self, memo: object) -> "LetterTokenizer":
        return LetterTokenizer()

    def apply_chat_template(self, conversation: Any, **arguments: Any) -> Any:
        lines = [self.chat_template.format(**message) for message in conversation]
        return "".join(lines) + "assistant: "

    def encode(self, text: str, **arguments: Any) -> list[int]:
        self.free.wait(10)
        return [ord(letter) for letter in text][: arguments.get("max_length")]

    def decode(self, token_ids: list[int]) -> str:
        return "".join(map(chr, token_ids))


class FakeEngine:
    """Gives some letters of its prompt a step, from the start again when it is through."""

    def __init__(self, limits: Limits, pooling: bool, pace: float, letters: int) -> None:
        self._limits = limits
        self._pooling = pooling
        self._pace = pace
        self._letters = letters
        self._dead = asyncio.Event()
        self.tokenizer = LetterTokenizer()
        self._next = asyncio.ensure_future(asyncio.sleep(0))
        self.adapter = ""
        self.running = 0
        self.generated = 0
        self.closed = False
        self.asleep = False
        self.woken = 0
        self.closing = asyncio.Event()
        self.closing.set()

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def image_placeholder(self) -> str | None:
        return None

    async def generate(
        self, prompt: Prompt, generation: generation_pb2.Generation, take: Take | None = None
    ) -> AsyncGenerator[Step, None]:
        if self._pooling:
            raise CapabilityMissing('"fake" does not support generate')
        if generation.options.temperature > 2:
            raise InvalidRequest("too hot")
        limit = answer_limit(generation.options, len(prompt.tokens), self._limits.context_length)
        again = deque(prompt.generated)
        stops = [text for text in generation.options.stop if text]
        held, size = max((len(text) for text in stops), default=1) - 1, len(prompt.tokens)
        self.running += 1
        self.generated += 1
        try:
            said = [ord(letter) for letter in self.adapter] + list(prompt.tokens)
            text, given, letters = "", 0, islice(cycle(said), len(again), None)
            while True:
                if not again:
                    await self._step()
                count = min(self._letters, limit - len(text))
                tokens = [again.popleft()] if again else list(islice(letters, count))
                text += "".join(map(chr, tokens))
                found = [text.index(stop) for stop in stops if stop in text]
                end = bool(found) or len(text) >= limit
                upto = min(found) if found else len(text) if end else max(len(text) - held, given)
                timed = end or len(text) - len(tokens) == len(prompt.generated)
                step = Step(text[given:upto], tokens, reason=_reason(end, bool(found)))
                if timed:
                    step = replace(step, timing=Timing(1, 2), prompt_tokens=size)
                if not (take and take(step)):
                    yield step
                given = upto
                if end:
                    return
        finally:
            self.running -= 1

    async def _step(self) -> None:
        """Wait for the engine's next step, which all its sequences share."""
        if self._next.done():
            self._next = asyncio.ensure_future(asyncio.sleep(self._pace))
        await asyncio.shield(self._next)
        if self._dead.is_set():
            raise WorkerLost

    async def adapt(self, name: str, folder: Path) -> "FakeEngine":
        """Give an engine that says the adapter's name first, unless the adapter is a bad one."""
        if (folder / "bad").exists():
            raise LoadFailed("the engine refused the adapter: it is bad")
        adapted = copy(self)
        adapted.adapter = name
        return adapted

    async def embed(self, prompts: list[list[int]]) -> list[list[float]]:
        if not self._pooling:
            raise CapabilityMissing('"fake" does not support embeddings')
        await self._step()
        return [[float(len(prompt)), float(sum(prompt)), 1.0] for prompt in prompts]

    async def sleep(self) -> None:
        self.asleep = True

    async def wake(self) -> None:
        if self._dead.is_set():
            raise WorkerLost
        self.asleep = False
        self.woken += 1

    @property
    def occupancy(self) -> Occupancy:
        return Occupancy(min(self.running, self._limits.max_sequences), self.running / 100)

    @property
    def alive(self) -> bool:
        return not self._dead.is_set()

    async def died(self) -> None:
        await self._dead.wait()

    def kill(self) -> None:
        """Die as a process does that is killed."""
        self._dead.set()

    async def aclose(self) -> None:
        self.closed = True
        self._dead.set()
        await self.closing.wait()


def _reason(ended: bool, stopped: bool) -> "generation_pb2.FinishReason.ValueType":
    if not ended:
        return generation_pb2.FINISH_REASON_UNSPECIFIED
    return generation_pb2.FINISH_REASON_STOP if stopped else generation_pb2.FINISH_REASON_LENGTH


class FakeFactory:
    """Starts fake engines of a fixed size; tests hold it up or make it fail."""

    def __init__(
        self,
        *,
        memory: int = 100,
        pace: float = 0.0,
        context_length: int = 1000,
        letters: int = 1,
        asleep: Rest = Rest(),  # noqa: B008
    ) -> None:
        self.asleep = asleep
        self.letters = letters
        self.memory = memory
        self.pace = pace
        self.context_length = context_length
        self.engines: list[FakeEngine] = []
        self.started: list[str] = []
        self.failure: PaddockError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def plan(self, spec: model_pb2.ModelSpec, folder: Path, budget: int) -> Plan:
        return Plan(memory=self.memory, asleep=self.asleep)

    async def start(self, spec: model_pb2.ModelSpec, folder: Path, plan: Plan) -> FakeEngine:
        self.started.append(spec.name)
        await self.gate.wait()
        if self.failure:
            raise self.failure
        limits = Limits(self.context_length, max_sequences=8, accelerator=False)
        engine = FakeEngine(limits, "embedding" in spec.capabilities, self.pace, self.letters)
        self.engines.append(engine)
        return engine


class NoFiles:
    """Models whose files are always here."""

    async def fetch(
        self,
        identity: str,
        files: Sequence[model_pb2.ModelFile],
        progress: Callable[[int], None],
        *,
        name: str,
    ) -> HeldFolder:
        return hold(Path(__file__).parent)

    async def add(
        self,
        identity: str,
        build: Callable[[Path], Awaitable[None]],
        *,
        name: str,
        size: int,
        sources: Iterable[str],
    ) -> HeldFolder:
        raise NotImplementedError


def load_failure() -> LoadFailed:
    return LoadFailed("the engine did not start: no such architecture")
