"""How answers of `/api/generate` and `/api/chat` are encoded, as lines or as one object."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import cached_property
from itertools import count
from typing import Any

from common.errors import Internal
from common.mailbox import Event
from gateway.direct_lines import DirectLines
from gateway.ollama.encoding import metrics, now
from gateway.ollama.logprobs import logprob_object
from gateway.ollama.text_lines import TextLines
from gateway.ollama.tools import call_object
from gateway.replies import json_line
from protos.paddock.v1 import generation_pb2

# How an endpoint shows content, thinking and tool calls: `response` here, `message` there.
Shape = Callable[[str, str, list[dict[str, Any]]], dict[str, Any]]
Events = AsyncGenerator[Event, None]

_NOTHING = generation_pb2.Delta()

_DONE_REASONS = {
    generation_pb2.FINISH_REASON_STOP: "stop",
    generation_pb2.FINISH_REASON_LENGTH: "length",
}


class Encoder:
    """Makes the objects of one answer. Its tool calls are numbered over all of them."""

    def __init__(self, model: str, shape: Shape, *, with_context: bool = False) -> None:
        """Take the model's name as the request spelled it."""
        self._model = model
        self._shape = shape
        self._with_context = with_context
        self._numbers = count()

    def text_line(self, text: str) -> bytes:
        """Encode a piece of the answer that is only text, as a line."""
        return self._text_lines.line(text)

    def chunk(self, delta: generation_pb2.Delta = _NOTHING) -> dict[str, Any]:
        """Encode a piece of the answer.

        Raises:
            Internal: a tool call is malformed.
        """
        calls = delta.tool_calls
        numbered = [call_object(call, next(self._numbers)) for call in calls] if calls else []
        piece = self._piece(now(), delta.content, delta.thinking, numbered)
        if delta.logprobs:
            piece["logprobs"] = [logprob_object(each) for each in delta.logprobs]
        return piece

    @cached_property
    def _text_lines(self) -> TextLines:
        return TextLines(lambda time, text: self._piece(time, text, "", []))

    def _piece(
        self, time: str, content: str, thinking: str, calls: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "model": self._model,
            "created_at": time,
            **self._shape(content, thinking, calls),
            "done": False,
        }

    def end(self, reason: str, delta: generation_pb2.Delta = _NOTHING) -> dict[str, Any]:
        """Encode the last object, together with what of the answer was not sent before."""
        return {**self.chunk(delta), "done": True, "done_reason": reason}

    def done(
        self, completed: generation_pb2.Completed, delta: generation_pb2.Delta = _NOTHING
    ) -> dict[str, Any]:
        """Encode how a generation ended."""
        last = self.end(_DONE_REASONS.get(completed.reason, "stop"), delta)
        if self._with_context and completed.context:
            last["context"] = list(completed.context)
        return last | metrics(completed.usage)


class DirectText:
    """Writes what is only text at once."""

    def __init__(self, encoder: Encoder, lines: DirectLines) -> None:
        self._encoder = encoder
        self._lines = lines

    @property
    def takes_text(self) -> bool:
        """Whether the client follows."""
        return self._lines.takes_more

    def takes(self, delta: generation_pb2.Delta) -> bool:
        """Tell whether it is only text, and the client follows."""
        return self._lines.takes_more and not delta.tool_calls and not delta.logprobs

    def write_text(self, content: str) -> None:
        """Write content, unless it is empty."""
        if content:
            self._lines.write(self._encoder.text_line(content))

    def write(self, delta: generation_pb2.Delta) -> None:
        """Write a delta, unless it is empty."""
        if delta.content or delta.thinking:
            self._lines.write(json_line(self._encoder.chunk(delta)))


async def answer_objects(events: Events, encoder: Encoder) -> AsyncGenerator[dict[str, Any], None]:
    """Encode each piece of an answer, and how it ended. Pieces without content are left out.

    Raises:
        PaddockError: the generation failed.
    """
    ended = False
    async with aclosing(events):
        async for event in events:
            if isinstance(event, generation_pb2.Completed):
                ended = True
                yield encoder.done(event)
            elif event.content or event.thinking or event.tool_calls or event.logprobs:
                yield encoder.chunk(event)
    if not ended:
        raise Internal("the answer ended without a result")


async def whole_answer(events: Events, encoder: Encoder) -> dict[str, Any]:
    """Encode an answer as one object.

    Raises:
        PaddockError: the generation failed.
    """
    content: list[str] = []
    thinking: list[str] = []
    rest = generation_pb2.Delta()
    completed = None
    async with aclosing(events):
        async for event in events:
            if isinstance(event, generation_pb2.Completed):
                completed = event
                continue
            content.append(event.content)
            thinking.append(event.thinking)
            rest.tool_calls.extend(event.tool_calls)
            rest.logprobs.extend(event.logprobs)
    if completed is None:
        raise Internal("the answer ended without a result")
    rest.content, rest.thinking = "".join(content), "".join(thinking)
    return encoder.done(completed, rest)
