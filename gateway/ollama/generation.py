"""What `/api/generate` and `/api/chat` share: common fields, and how answers are sent."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar

from aiohttp import web
from pydantic import Field

from common.errors import Internal, InvalidRequest
from common.options import parse_options
from common.rpc import rpc_errors
from gateway.body import Body, KeepAlive, dump_json
from gateway.ollama.encoding import metrics, now
from gateway.ollama.not_found import not_found_as
from gateway.replies import json_reply
from gateway.services import SERVICES
from gateway.streaming import call_events, stream_objects
from protos.paddock.v1 import generation_pb2, inference_pb2

# How an endpoint shows a piece of the answer: `response` here, `message` there.
Shape = Callable[[generation_pb2.Delta], dict[str, Any]]
Events = AsyncGenerator[inference_pb2.GenerateResponse, None]

_NOTHING = generation_pb2.Delta()

_DONE_REASONS = {
    generation_pb2.FINISH_REASON_STOP: "stop",
    generation_pb2.FINISH_REASON_LENGTH: "length",
}


class GenerationBody(Body):
    """The fields that both endpoints take."""

    not_offered: ClassVar[frozenset[str]] = frozenset(
        {"think", "logprobs", "top_logprobs", "template", "_debug_render_only"}
    )

    model: str = ""
    stream: bool = True
    options: dict[str, Any] = Field(default_factory=dict)
    keep_alive: KeepAlive = None
    format: Any = None
    think: bool | None = None

    def settings(self) -> dict[str, Any]:
        """Give the fields of a `Generation` that do not depend on the endpoint.

        Raises:
            InvalidRequest: an option, the format or the think value is malformed.
        """
        think = generation_pb2.THINK_UNSPECIFIED if self.think is None else generation_pb2.THINK_OFF
        return {
            "options": parse_options(self.options),
            "format": parse_format(self.format),
            "think": think,
        }


def parse_format(value: Any) -> generation_pb2.Format | None:
    """Read `format`: nothing, `"json"`, or a JSON schema as an object.

    Raises:
        InvalidRequest: anything else.
    """
    if value is None or value == "":
        return None
    if value == "json":
        return generation_pb2.Format(json=True)
    if isinstance(value, dict):
        return generation_pb2.Format(json_schema=dump_json(value))
    shown = dump_json(value)
    raise InvalidRequest(f'invalid format: {shown}; expected "json" or a valid JSON Schema object')


@dataclass(frozen=True)
class Encoder:
    """Makes the objects of one answer."""

    model: str
    """The model's name as the request spelled it."""

    shape: Shape
    with_context: bool = False

    def chunk(self, delta: generation_pb2.Delta, *, done: bool = False) -> dict[str, Any]:
        """Encode a piece of the answer."""
        return {"model": self.model, "created_at": now(), **self.shape(delta), "done": done}

    def done(
        self, completed: generation_pb2.Completed, delta: generation_pb2.Delta = _NOTHING
    ) -> dict[str, Any]:
        """Encode how the answer ended, together with what of it was not sent before."""
        last = self.chunk(delta, done=True)
        last["done_reason"] = _DONE_REASONS.get(completed.reason, "stop")
        if self.with_context and completed.context:
            last["context"] = list(completed.context)
        return last | metrics(completed.usage)


async def load_or_unload(
    request: web.Request, body: GenerationBody, encoder: Encoder
) -> web.Response:
    """Serve a request without a prompt: load the model, or unload it with `keep_alive: 0`."""
    inference = request.app[SERVICES].inference
    name, keep_alive = body.model.strip(), body.keep_alive
    parse_options(body.options)  # refused when malformed, though nothing uses them
    with not_found_as(f"model '{body.model}' not found"), rpc_errors():
        if keep_alive == 0:
            await inference.Unload(inference_pb2.UnloadRequest(model=name))
        else:
            await inference.Load(inference_pb2.LoadRequest(model=name, keep_alive=keep_alive))
    reason = "unload" if keep_alive == 0 else "load"
    return json_reply(encoder.chunk(_NOTHING, done=True) | {"done_reason": reason})


async def answer(
    request: web.Request, wanted: inference_pb2.GenerateRequest, encoder: Encoder, stream: bool
) -> web.StreamResponse:
    """Run a generation and send its answer, as a stream of lines or as one object."""
    events = call_events(request.app[SERVICES].inference.Generate(wanted))
    with not_found_as(f"model '{encoder.model}' not found"):
        if stream:
            return await stream_objects(request, _objects(events, encoder))
        return json_reply(await _whole(events, encoder))


async def _objects(events: Events, encoder: Encoder) -> AsyncGenerator[dict[str, Any], None]:
    ended = False
    async with aclosing(events):
        async for event in events:
            if event.HasField("completed"):
                ended = True
                yield encoder.done(event.completed)
            else:
                yield encoder.chunk(event.delta)
    if not ended:
        raise Internal("the answer ended without a result")


async def _whole(events: Events, encoder: Encoder) -> dict[str, Any]:
    content: list[str] = []
    thinking: list[str] = []
    completed = None
    async with aclosing(events):
        async for event in events:
            if event.HasField("completed"):
                completed = event.completed
            content.append(event.delta.content)
            thinking.append(event.delta.thinking)
    if completed is None:
        raise Internal("the answer ended without a result")
    everything = generation_pb2.Delta(content="".join(content), thinking="".join(thinking))
    return encoder.done(completed, everything)
