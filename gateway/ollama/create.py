"""`POST /api/create`: make a model from uploaded files or from another model."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, ClassVar

from aiohttp import web
from pydantic import Field

from gateway.body import dump_json, read_body
from gateway.ollama.encoding import without_empty
from gateway.ollama.messages import Message
from gateway.ollama.models import NamedBody
from gateway.replies import json_reply
from gateway.services import SERVICES
from gateway.streaming import call_events, last_object, stream_objects
from protos.paddock.v1 import registry_pb2


class CreateBody(NamedBody):
    """The request's body."""

    not_offered: ClassVar[frozenset[str]] = frozenset(
        {
            "modelfile",
            "path",
            "adapters",
            "quantize",
            "quantization",
            "template",
            "renderer",
            "parser",
            "requires",
            "info",
            "draft",
            "draft_quantize",
            "remote_host",
        }
    )

    stream: bool = True
    source: str = Field(default="", alias="from")
    files: dict[str, str] = Field(default_factory=dict)
    system: str | None = None
    license: str | list[str] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)
    messages: list[Message] = Field(default_factory=list)

    def to_proto(self) -> registry_pb2.CreateRequest:
        """Convert for the wire.

        Raises:
            InvalidRequest: the parameters or a tool call are nested too deeply.
        """
        licenses = [self.license] if isinstance(self.license, str) else self.license
        return registry_pb2.CreateRequest(
            model=self.wanted.strip(),
            **{"from": self.source.strip()},
            files=self.files,
            system=self.system,
            licenses=[text for text in licenses if text],
            parameters_json=dump_json(self.parameters) if self.parameters else "",
            messages=[message.to_proto() for message in self.messages],
        )


async def create(request: web.Request) -> web.StreamResponse:
    """Make the model and report each step, or only the last."""
    body = await read_body(request, CreateBody)
    steps = call_events(request.app[SERVICES].registry.Create(body.to_proto()))
    if body.stream:
        return await stream_objects(request, _objects(steps))
    return json_reply(await last_object(_objects(steps)))


async def _objects(
    steps: AsyncGenerator[registry_pb2.Progress, None],
) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(steps):
        async for step in steps:
            numbers = {"digest": step.digest, "total": step.total, "completed": step.completed}
            yield {"status": step.status, **without_empty(numbers)}


ROUTES = [web.post("/api/create", create)]
