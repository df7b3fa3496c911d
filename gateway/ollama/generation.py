"""What `/api/generate` and `/api/chat` share: their common fields, and the ways to serve them."""

from abc import abstractmethod
from typing import Any

from aiohttp import web
from pydantic import Field

from common.errors import InvalidRequest
from common.options import parse_options
from gateway.body import Body, KeepAlive, dump_json
from gateway.clients import client_of
from gateway.direct_lines import DirectLines
from gateway.ollama.answers import DirectText, Encoder, answer_objects, whole_answer
from gateway.ollama.encoding import without_empty
from gateway.ollama.logprobs import TopLogprobs
from gateway.ollama.not_found import not_found_as, require_model
from gateway.ollama.think import Think
from gateway.persistence import answer_events, persist
from gateway.replies import json_reply
from gateway.services import SERVICES
from gateway.streaming import stream_objects
from protos.paddock.v1 import generation_pb2, inference_pb2


class GenerationBody(Body):
    """The fields that both endpoints take."""

    model: str = ""
    stream: bool = True
    options: dict[str, Any] = Field(default_factory=dict)
    keep_alive: KeepAlive = None
    format: Any = None
    think: Think = generation_pb2.THINK_UNSPECIFIED
    template: str = ""
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool = False
    top_logprobs: TopLogprobs = 0
    render_only: bool = Field(default=False, alias="_debug_render_only")

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether there is nothing to answer: the model is only to be loaded or unloaded."""

    @abstractmethod
    def input(self) -> dict[str, Any]:
        """Give the fields of a `Generation` that are the endpoint's own.

        Raises:
            InvalidRequest: fields contradict each other.
        """

    def to_proto(self) -> inference_pb2.GenerateRequest:
        """Convert for the wire. Without anything to answer, the format is not looked at.

        Raises:
            InvalidRequest: fields are malformed or contradict each other.
        """
        generation = generation_pb2.Generation(
            **self.input(),
            options=parse_options(self.options),
            format=None if self.is_empty else parse_format(self.format),
            think=self.think,
            template=self.template,
            logprobs=self.top_logprobs if self.logprobs else None,
            truncate=self.truncate,
            shift=self.shift,
        )
        return inference_pb2.GenerateRequest(
            model=self.model.strip(), generation=generation, keep_alive=self.keep_alive
        )


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


async def serve(request: web.Request, body: GenerationBody, encoder: Encoder) -> web.StreamResponse:
    """Do what a request asks: unload or load its model, show the prompt, or answer.

    That a model does not exist is reported before what is wrong with the rest, and an unload
    does not look at the rest.
    """
    with not_found_as(f"model '{body.model}' not found"):
        if body.is_empty and body.keep_alive == 0:
            return await _unload(request, body, encoder)
        try:
            wanted = body.to_proto()
        except InvalidRequest:
            await require_model(request, body.model)
            raise
        if body.is_empty:
            return await _load(request, wanted, encoder)
        if body.render_only:
            return await _render(request, wanted, encoder)
        return await _answer(request, wanted, encoder, body.stream)


async def _unload(request: web.Request, body: GenerationBody, encoder: Encoder) -> web.Response:
    wanted = inference_pb2.UnloadRequest(model=body.model.strip())
    await persist(request, request.app[SERVICES].inference.Unload, wanted)
    return json_reply(encoder.end("unload"))


async def _load(
    request: web.Request, wanted: inference_pb2.GenerateRequest, encoder: Encoder
) -> web.Response:
    load = inference_pb2.LoadRequest(
        model=wanted.model,
        keep_alive=wanted.keep_alive if wanted.HasField("keep_alive") else None,
        generation=wanted.generation,
    )
    await persist(request, request.app[SERVICES].inference.Load, load)
    return json_reply(encoder.end("load"))


async def _render(
    request: web.Request, wanted: inference_pb2.GenerateRequest, encoder: Encoder
) -> web.Response:
    prompt = await persist(request, request.app[SERVICES].inference.Render, wanted)
    shown = {"rendered_template": prompt.text, **without_empty({"image_count": prompt.images})}
    return json_reply({**encoder.chunk(), "_debug_info": shown})


async def _answer(
    request: web.Request, wanted: inference_pb2.GenerateRequest, encoder: Encoder, stream: bool
) -> web.StreamResponse:
    wanted.client = client_of(request)
    if not stream:
        return json_reply(await whole_answer(answer_events(request, wanted), encoder))
    direct = DirectLines()
    events = answer_events(request, wanted, DirectText(encoder, direct))
    return await stream_objects(request, answer_objects(events, encoder), direct)
