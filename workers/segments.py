"""Runs one sequence as several engine runs, each going on where the one before stopped."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from protos.paddock.v1 import generation_pb2
from workers.engine import Engine, Prompt, Step, Timing
from workers.window import window

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


class Segments:
    """The engine's runs for one answer, and what they add up to.

    When the window is full and the request allows more, the older half of it is forgotten
    and the answer goes on (context shift). That is not done in a run that is held to a
    format, whose place in its grammar would be lost, nor with images. A stop string is not
    found where it lies across such a shift.
    """

    def __init__(
        self, engine: Engine, prompt: Prompt, generation: generation_pb2.Generation
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
        self._timed = False

    def mark(self) -> Mark:
        """Give the place that is reached."""
        return Mark(list(self.held), self.answered)

    def go_back(self, mark: Mark) -> None:
        """Forget what was answered since a mark."""
        self.held, self.answered = list(mark.held), mark.answered

    def append(self, tokens: Sequence[int]) -> None:
        """Go on after tokens that are no part of the answer."""
        self.held.extend(tokens)

    async def run(self, *, constrained: bool = True, stop: str = "") -> AsyncGenerator[Step, None]:
        """Go on with the answer; the last step has a reason.

        Not `constrained`, the request's format is left aside. At a text `stop` it ends with
        the reason "stop", as at the request's own stop strings.

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
            generation.options.num_predict = self._most - self.answered
            prompt = replace(self._prompt, tokens=list(self.held))
            async with aclosing(self._engine.generate(prompt, generation)) as steps:
                async for step in steps:
                    self.held.extend(step.tokens)
                    self.answered += len(step.tokens)
                    if not step.reason:
                        yield step
                        continue
                    self._add_up(step, prompt)
                    full = step.reason == _LENGTH and self.answered < self._most
                    ended = not (shifts and full)
                    yield step if ended else replace(step, reason=_NO_REASON)

    def _part(self, constrained: bool, stop: str) -> generation_pb2.Generation:
        part = generation_pb2.Generation()
        part.CopyFrom(self._generation)
        if not constrained:
            part.ClearField("format")
        if stop:
            part.options.stop.append(stop)
        return part

    def _add_up(self, step: Step, prompt: Prompt) -> None:
        """Add a run's time, which its last step tells; the first one tells what a prompt was."""
        if not step.timing:
            return
        earlier, later = self.timing, step.timing
        if self._timed:
            self.timing = replace(
                earlier, completion=earlier.completion + later.prompt + later.completion
            )
            return
        self.timing, self._timed = later, True
        if step.prompt_tokens:
            images = step.prompt_tokens - len(prompt.tokens)
            self.prompt_tokens = len(self._prompt.tokens) + images


def _without_input(generation: generation_pb2.Generation) -> generation_pb2.Generation:
    """Give all of a request that engines look at: not its texts and images."""
    fields = {field.name: value for field, value in generation.ListFields()}
    return generation_pb2.Generation(
        **{name: value for name, value in fields.items() if name not in _INPUT}
    )
