"""An engine that writes what a test tells it to, a character a token."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import cast

from protos.paddock.v1 import generation_pb2
from tests.workers.fakes import FakeEngine
from workers.engine import Limits, Prompt, Step, Timing
from workers.slot import ReadyEngine
from workers.window import answer_limit

Script = Callable[[str, bool], str]
"""Gives the answer to a prompt, and to whether it is held to a format."""

_STOP = generation_pb2.FINISH_REASON_STOP
_LENGTH = generation_pb2.FINISH_REASON_LENGTH


@dataclass
class Run:
    """What the engine was asked for."""

    prompt: str
    constrained: bool
    special_tokens: bool
    generation: generation_pb2.Generation
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
        self, prompt: Prompt, generation: generation_pb2.Generation
    ) -> AsyncGenerator[Step, None]:
        constrained = generation.HasField("format")
        text = "".join(map(chr, prompt.tokens))
        run = Run(text, constrained, prompt.special_tokens, generation_pb2.Generation())
        run.generation.CopyFrom(generation)
        self.runs.append(run)
        limit = answer_limit(generation.options, len(text), self.limits.context_length)
        whole, reason = self._answer(self._script(text, constrained), generation, limit)
        self.running += 1
        try:
            for start in range(0, max(len(whole), 1), self._letters):
                piece = whole[start : start + self._letters]
                ended = start + self._letters >= len(whole)
                yield self._show(run, piece, generation, reason if ended else 0)
        finally:
            self.running -= 1

    def _answer(
        self, text: str, generation: generation_pb2.Generation, limit: int
    ) -> tuple[str, int]:
        ends = [text.index(stop) + len(stop) for stop in generation.options.stop if stop in text]
        cut = min([limit, *ends])
        return text[:cut], _LENGTH if cut == limit and limit < len(text) else _STOP

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
            Timing(prompt=10, completion=100) if reason else None,
        )
