"""An engine that writes what a test tells it to, a character a token."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import cast

from protos.paddock.v1 import generation_pb2
from tests.workers.fakes import FakeEngine
from workers.engine import Limits, Prompt, Step, Take, Timing
from workers.slot import ReadyEngine
from workers.window import answer_limit

Script = Callable[[str, bool], str]
"""Gives the answer to a prompt, and to whether it is held to a format."""

_STOP = generation_pb2.FINISH_REASON_STOP
_LENGTH = generation_pb2.FINISH_REASON_LENGTH
_TIMING = Timing(prompt=10, completion=100)


@dataclass
class Run:
    """What the engine was asked for."""

    prompt: str
    constrained: bool
    special_tokens: bool
    generation: generation_pb2.Generation
    generated: str = ""
    """By another engine, before."""
    computed: bool = False
    """Whether the engine had anything to do."""
    given: str = field(default="")


class ScriptedEngine(FakeEngine):
    """Writes a script's answers; ends at stop strings and at the window as engines do."""

    def __init__(self, script: Script, context_length: int = 1000, letters: int = 1) -> None:
        limits = Limits(context_length, max_sequences=8, accelerator=False)
        super().__init__(limits, pooling=False, pace=0, letters=letters)
        self.runs: list[Run] = []
        self._script = script

    @property
    def ready(self) -> ReadyEngine:
        return ReadyEngine(self)

    async def generate(
        self, prompt: Prompt, generation: generation_pb2.Generation, take: Take | None = None
    ) -> AsyncGenerator[Step, None]:
        constrained = generation.HasField("format")
        text = "".join(map(chr, prompt.tokens))
        run = Run(text, constrained, prompt.special_tokens, generation_pb2.Generation())
        run.generation.CopyFrom(generation)
        run.generated = "".join(map(chr, prompt.generated))
        self.runs.append(run)
        limit = answer_limit(generation.options, len(text), self.limits.context_length)
        said = run.generated + self._script(text, constrained)[len(run.generated) :]
        whole, reason = self._answer(said, generation, limit)
        self.running += 1
        try:
            for start, end in self._steps(len(run.generated), len(whole)):
                run.computed |= start >= len(run.generated)
                ended = end == len(whole)
                step = self._show(run, whole[start:end], generation, reason if ended else 0)
                timed = ended or start == len(run.generated)
                step = replace(step, timing=_TIMING if timed else None)
                if not (take and take(step)):
                    yield step
        finally:
            self.running -= 1

    def _steps(self, again: int, whole: int) -> list[tuple[int, int]]:
        """Give where each step begins and ends: `again` characters come one by one."""
        starts = [*range(min(again, whole)), *range(again, whole, self._letters)]
        return [*pairwise([*starts, whole])] or [(0, 0)]

    def _answer(
        self, text: str, generation: generation_pb2.Generation, limit: int
    ) -> tuple[str, int]:
        ends = [text.index(stop) + len(stop) for stop in generation.options.stop if stop in text]
        cut = min([limit, *ends])
        return text[:cut], _LENGTH if cut == limit and limit < min([len(text), *ends]) else _STOP

    def _show(
        self, run: Run, piece: str, generation: generation_pb2.Generation, reason: int
    ) -> Step:
        """Give a step; text that may begin a stop string is held back until it is certain."""
        stops = list(generation.options.stop)
        held = max((len(stop) for stop in stops), default=1) - 1
        shown = max(len(run.given) - held, 0)
        run.given += piece
        text = run.given if reason else run.given[: max(len(run.given) - held, 0)]
        if reason == _STOP:
            text = next((text.removesuffix(stop) for stop in stops if text.endswith(stop)), text)
        logprobs = [generation_pb2.TokenLogprob(token=letter) for letter in piece]
        return Step(
            text[shown:],
            [ord(letter) for letter in piece],
            logprobs if generation.HasField("logprobs") else (),
            cast("generation_pb2.FinishReason.ValueType", reason),
        )
