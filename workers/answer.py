"""One answer: the engine's runs that make it, read, and handed on in deltas."""

import random
import string
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from protos.paddock.v1 import generation_pb2
from workers.engine import Prompt, Step
from workers.output.parsed import Parsed
from workers.output.reader import Reader
from workers.output.thinking import Thought
from workers.segments import Mark, Segments
from workers.slot import ReadyEngine


class Output(Protocol):
    """Where an answer goes."""

    def add_text(self, content: str, tokens: Sequence[int]) -> None:
        """Add content and the tokens that were generated for it; either may be empty."""

    def delta(self) -> generation_pb2.Delta:
        """Give the delta to which something else is added at once."""


_STOP = generation_pb2.FINISH_REASON_STOP
_ID_LETTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 8


class Answer:
    """Generates an answer and sends what is certain of it after each step.

    A format binds the answer alone: the model thinks freely before it, and may call a tool
    instead. So it first runs free. When its thought ends, or when it begins to answer without
    one, that run is left, what it answered is forgotten, nothing of it having been sent, and
    a second one, held to the format, goes on from the end of the thought.

    Each step's tokens are sent with what is certain of it, or alone; where log probabilities
    are wanted, not before those. Tokens that another worker generated, `recorded`, go the same
    way again, and lead to the same decisions.
    """

    def __init__(
        self,
        ready: ReadyEngine,
        prompt: Prompt,
        generation: generation_pb2.Generation,
        reader: Reader | None,
        output: Output,
        recorded: Sequence[int] = (),
    ) -> None:
        if reader and reader.special_tokens:
            prompt = replace(prompt, special_tokens=True)
        self.segments = Segments(ready.engine, prompt, generation, recorded)
        self.reason = generation_pb2.FINISH_REASON_UNSPECIFIED
        self._ready = ready
        self._reader = reader
        self._output = output
        self._formatted = _has_format(generation)
        self._tools = bool(generation.chat.tools_json)
        self._called = False
        self._thought = False  # whether a part of the thought under way was sent
        self._logprobs: list[generation_pb2.TokenLogprob] = []  # of what is not sent yet
        self._gives_logprobs = generation.HasField("logprobs")
        self._owed = 0  # log probabilities that the engine's run has yet to give

    async def run(self) -> None:
        """Generate all of it; how it ended is `reason` then.

        Raises:
            PaddockError: the engine refused it or died.
        """
        reader = self._reader
        if reader is None:
            await self._pass_on()
            return
        free = self._tools or reader.thought is not Thought.OVER
        if not (self._formatted and free and await self._run_free(reader)):
            await self._read_to_the_end(reader)

    async def _pass_on(self) -> None:
        """Send an answer that nobody has to read."""
        async with aclosing(self.segments.run(take=self._send)) as steps:
            async for step in steps:
                self._send(step)

    def _send(self, step: Step) -> None:
        self._note(step)
        tokens = self.segments.take_tokens(self._owed)
        if step.logprobs:
            delta = self._output.delta()
            delta.content += step.text
            delta.tokens.extend(tokens)
            delta.logprobs.extend(step.logprobs)
        elif step.text or tokens:
            self._output.add_text(step.text, tokens)

    async def _read_to_the_end(self, reader: Reader) -> None:
        def read_and_add(step: Step) -> None:
            self._add(step, reader.read(step.text))

        take = read_and_add if reader.immediate else None
        async with aclosing(self.segments.run(take=take)) as steps:
            async for step in steps:
                self._add(step, await reader.feed(step.text))
        self._hand_on(await reader.finish(), flush=True)

    def _add(self, step: Step, parsed: Parsed) -> None:
        self._note(step)
        self._logprobs.extend(step.logprobs)
        self._hand_on(parsed)
        self._tell_tokens()

    async def _run_free(self, reader: Reader) -> bool:
        """Let the model think and call tools; False: an answer in the format comes next."""
        free = True
        while free:
            mark, pending, self._thought = self.segments.mark(), len(self._logprobs), False
            stop = reader.thought_end if reader.thought is not Thought.OVER else ""
            answers = not await self._run_until_answer(reader, stop)
            if not answers and await self._ended_thought(reader, stop, mark):
                self._hand_on(await reader.feed(stop))
                free = self._tools
            elif not answers and await self._is_complete(reader):
                return True
            else:
                self.segments.go_back(mark)
                del self._logprobs[pending:]
                self._owed = 0
                free = False
        if start := reader.begin_answer():
            self.segments.append(
                await self._ready.render(
                    lambda tokenizer: tokenizer.encode(start, add_special_tokens=False)
                )
            )
        return False

    async def _run_until_answer(self, reader: Reader, stop: str) -> bool:
        """Run free to the end, or `stop`; False: it began to answer, of which nothing is sent."""
        async with aclosing(self.segments.run(constrained=False, stop=stop)) as steps:
            async for step in steps:
                parsed = await reader.feed(step.text)
                if not self._called:
                    no_thought = reader.thought is Thought.OVER and not self._thought
                    if parsed.content.strip() or (no_thought and not self._tools):
                        return False
                    parsed.content = ""
                self._add(step, parsed)
        return True

    async def _is_complete(self, reader: Reader) -> bool:
        """Tell whether what ended needs no answer: it was cut off in a thought, or calls tools."""
        rest = await reader.finish()
        if not (self._called or rest.calls or self._thought or rest.thinking):
            return False
        self._hand_on(rest, flush=True)
        return True

    async def _ended_thought(self, reader: Reader, stop: str, mark: Mark) -> bool:
        """Tell whether a thought ended, with the tokens since a mark; its text lacks the end."""
        if self.reason != _STOP or reader.thought is not Thought.OPEN:
            return False
        most = min(len(stop.encode()) + 1, self.segments.answered - mark.answered)
        tokens = self.segments.held[len(self.segments.held) - most :]
        return stop in await self._ready.render(lambda tokenizer: tokenizer.decode(tokens))

    def _note(self, step: Step) -> None:
        self.reason = step.reason
        if self._gives_logprobs:
            self._owed += len(step.tokens) - len(step.logprobs)
        if step.reason:
            self._owed = 0

    def _tell_tokens(self) -> None:
        """Send the tokens that no delta has taken along."""
        if tokens := self.segments.take_tokens(self._owed + len(self._logprobs)):
            self._output.add_text("", tokens)

    def _hand_on(self, parsed: Parsed, *, flush: bool = False) -> None:
        """Send what there is, calls in a delta of their own; `flush`: log probabilities too."""
        self._thought |= bool(parsed.thinking)
        if parsed.content and not parsed.thinking and not self._logprobs:
            self._output.add_text(parsed.content, self.segments.take_tokens(self._owed))
        elif parsed.thinking or parsed.content:
            delta = self._delta_with_tokens()
            delta.thinking += parsed.thinking
            delta.content += parsed.content
        if parsed.calls:
            self._called = True
            delta = self._delta_with_tokens()
            for call in parsed.calls:
                delta.tool_calls.add(id=_new_id(), name=call.name, arguments_json=call.arguments)
        if flush and self._logprobs:
            self._delta_with_tokens()

    def _delta_with_tokens(self) -> generation_pb2.Delta:
        delta = self._output.delta()
        delta.logprobs.extend(self._logprobs)
        self._logprobs.clear()
        delta.tokens.extend(self.segments.take_tokens(self._owed))
        return delta


def _has_format(generation: generation_pb2.Generation) -> bool:
    constraint = generation.format.WhichOneof("constraint")
    return constraint == "json_schema" or generation.format.json


def _new_id() -> str:
    return "call_" + "".join(random.choices(_ID_LETTERS, k=_ID_LENGTH))
