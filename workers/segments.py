"""Runs one sequence as several engine runs, each going on where the one before stopped."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from protos.paddock.v1 import generation_pb2
from workers.engine import Engine, Prompt, Step, Take, Timing
from workers.recording import NEW_RUN, Recording
from workers.window import window

TakePart = Callable[[Step], None]
"""Takes a step that is not the last; this must not fail."""

_LENGTH = generation_pb2.FINISH_REASON_LENGTH
_NO_REASON = generation_pb2.FINISH_REASON_UNSPECIFIED

_INPUT = frozenset({"chat", "completion", "template"})
_DEFAULT_KEPT = 4  # Ollama's num_keep
_MOST_WINDOWS = 10  # that an answer may fill, as in Ollama: none goes on for ever
_UNTIL_FULL = -2  # num_predict: until the window is full, once


def shifted(tokens: Sequence[int], keep: int, size: int) -> list[int]:
    """Forget what is needed for going on in a window of `size` tokens that is full.

    The first `keep` tokens stay, and of the others the newer half, as in llama.cpp.
    """
    kept = min(keep, size - 2)
    newest = (size - kept) // 2
    return [*tokens[:kept], *tokens[max(kept, len(tokens) - newest) :]]


def _kept(options: generation_pb2.Options, prompt: int) -> int:
    keep = options.num_keep if options.HasField("num_keep") else _DEFAULT_KEPT
    return keep if keep >= 0 else prompt


def _most(options: generation_pb2.Options, size: int) -> int:
    """Give the tokens that an answer may have over all its runs."""
    limit = _MOST_WINDOWS * size
    return min(options.num_predict, limit) if options.num_predict > 0 else limit


@dataclass(frozen=True)
class Mark:
    """A place in an answer to come back to."""

    held: list[int]
    answered: int


@dataclass(eq=False)
class _Run:
    """One run of the engine."""

    prompt: Prompt
    came: int = 0
    """Tokens that it gave."""
    reason: "generation_pb2.FinishReason.ValueType" = _NO_REASON
    """How it ended."""


class Segments:
    """The engine's runs for one answer, and what they add up to.

    When the window is full and the request allows more, the older half of it is forgotten
    and the answer goes on (context shift). That is not done in a run that is held to a
    format, whose place in its grammar would be lost, nor with images. A stop string is not
    found where it lies across such a shift.

    What another worker generated of the answer, `recorded`, comes again first, in the same
    runs. A run that ended there, or was left, ends here after the same tokens.
    """

    def __init__(
        self,
        engine: Engine,
        prompt: Prompt,
        generation: generation_pb2.Generation,
        recorded: Sequence[int] = (),
    ) -> None:
        self.held = list(prompt.tokens)
        """What the engine last held: the prompt, as far as it is not forgotten, and the answer."""
        self.answered = 0
        """Tokens of the answer."""
        self.prompt_tokens = len(prompt.tokens)
        self.timing = Timing(0, 0)
        """Of the first run's prompt, and of everything after it."""
        self._engine = engine
        self._prompt = prompt
        self._generation = _without_input(generation)
        self._window = window(generation.options, engine.limits.context_length)
        self._shifts = not generation.HasField("shift") or generation.shift
        self._shifts &= generation.options.num_predict != _UNTIL_FULL and not prompt.images
        self._keep = _kept(generation.options, len(prompt.tokens))
        self._most = _most(generation.options, self._window)
        self._timed: _Run | None = None  # that told what the prompt took
        self._recording = Recording(recorded)
        self._mark = False  # whether the engine's next run is not the first
        self._untold: list[int] = []

    def take_tokens(self, keep: int = 0) -> list[int]:
        """Give the tokens since the last time, with a mark before each new run of the engine.

        The last `keep` tokens are kept for the next time.
        """
        if keep <= 0:
            taken, self._untold = self._untold, []
            return taken
        end = len(self._untold)
        while keep > 0 and end > 0:
            end -= 1
            keep -= self._untold[end] >= 0
        taken, self._untold = self._untold[:end], self._untold[end:]
        return taken

    def mark(self) -> Mark:
        """Give the place that is reached."""
        return Mark(list(self.held), self.answered)

    def go_back(self, mark: Mark) -> None:
        """Forget what was answered since a mark."""
        self.held, self.answered = list(mark.held), mark.answered

    def append(self, tokens: Sequence[int]) -> None:
        """Go on after tokens that are no part of the answer."""
        self.held.extend(tokens)

    async def run(
        self, *, constrained: bool = True, stop: str = "", take: TakePart | None = None
    ) -> AsyncGenerator[Step, None]:
        """Go on with the answer; the last step has a reason.

        Any other may go to `take` instead. Not `constrained`, the request's format is left
        aside. At a text `stop` it ends with the reason "stop", as at the request's own stop
        strings.

        Raises:
            InvalidRequest: options or format are wrong, or the prompt leaves no room.
            WorkerLost: the engine died.
        """
        generation = self._part(constrained, stop)
        shifts = self._shifts and not generation.HasField("format")
        ended = False
        while not ended:
            # A run that is held to a format may follow a shift: its grammar begins there.
            full = self.answered > 0 and len(self.held) >= self._window
            if (full and not self._shifts) or self.answered >= self._most:
                yield Step(reason=_LENGTH)
                return
            if full:
                self.held = shifted(self.held, self._keep, self._window)
            run = self._begin_run(generation)
            steps = self._engine.generate(run.prompt, generation, self._taking(take, run))
            try:
                async with aclosing(steps):
                    async for step in steps:
                        self._add(step, run)
                        if step.reason:
                            full = step.reason == _LENGTH and self.answered < self._most
                            ended = not (shifts and full)
                            step = step if ended else replace(step, reason=_NO_REASON)
                        yield step
                        if run.came < len(run.prompt.generated):
                            await asyncio.sleep(0)  # others have their turns meanwhile
            finally:
                self._end_run(run)

    def _taking(self, take: TakePart | None, run: "_Run") -> Take | None:
        """Give what takes the engine's steps but the last, after which a run may follow."""
        if take is None:
            return None

        def add_and_take(step: Step) -> bool:
            if step.reason:
                return False
            self._add(step, run)
            take(step)
            return True

        return add_and_take

    def _begin_run(self, generation: generation_pb2.Generation) -> "_Run":
        """Begin a run of the engine on what is held, and limit its length."""
        recorded, over = self._recording.next_run()
        most = self._most - self.answered
        generation.options.num_predict = min(most, len(recorded)) if over else most
        if self._mark:
            self._untold.append(NEW_RUN)
        self._mark = True
        return _Run(replace(self._prompt, tokens=list(self.held), generated=recorded))

    def _end_run(self, run: "_Run") -> None:
        rest = list(run.prompt.generated[run.came :])
        if rest and run.reason == _LENGTH:
            self._recording.put_back(rest)  # the other engine's window was larger
            self._mark = False
        else:
            self._untold.extend(rest)

    def _part(self, constrained: bool, stop: str) -> generation_pb2.Generation:
        part = generation_pb2.Generation()
        part.CopyFrom(self._generation)
        if not constrained:
            part.ClearField("format")
        if stop:
            part.options.stop.append(stop)
        return part

    def _add(self, step: Step, run: "_Run") -> None:
        """Add what a step tells; the first one that was computed tells what a prompt was."""
        count = len(step.tokens)
        self.held.extend(step.tokens)
        self._untold.extend(step.tokens)
        self.answered += count
        run.came += count
        run.reason = step.reason
        if step.timing is not None:
            self._add_timing(step, step.timing, run)

    def _add_timing(self, step: Step, timing: Timing, run: "_Run") -> None:
        if self._timed is None:
            self._timed, self.timing = run, Timing(timing.prompt, 0)
            if step.prompt_tokens:
                images = step.prompt_tokens - len(run.prompt.tokens)
                self.prompt_tokens = len(self._prompt.tokens) + images
        if step.reason:
            took = timing.completion + (timing.prompt if run is not self._timed else 0)
            self.timing = replace(self.timing, completion=self.timing.completion + took)


def _without_input(generation: generation_pb2.Generation) -> generation_pb2.Generation:
    """Give all of a request that engines look at: not its texts and images."""
    fields = {field.name: value for field, value in generation.ListFields()}
    return generation_pb2.Generation(
        **{name: value for name, value in fields.items() if name not in _INPUT}
    )
