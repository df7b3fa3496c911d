"""`POST /api/create`: make a model from uploaded files, another model, or a Modelfile."""

from typing import Annotated, Any, ClassVar

from aiohttp import web
from pydantic import BeforeValidator, Field

from gateway.body import dump_json, read_body
from gateway.ollama.messages import Message
from gateway.ollama.models import NamedBody
from gateway.ollama.progress import progress_objects
from gateway.replies import json_reply
from gateway.services import SERVICES
from gateway.streaming import call_events, last_object, stream_objects
from protos.paddock.v1 import registry_pb2


def _parse_licenses(value: object) -> object:
    """Take one text or several; what is neither is left for the field's type to refuse."""
    return [value] if isinstance(value, str) else value


class CreateBody(NamedBody):
    """The request's body. An empty text means, as in Ollama, that the base's own is kept."""

    not_offered: ClassVar[frozenset[str]] = frozenset(
        {
            "draft",
            "draft_quantize",
            "remote_host",
        }
    )

    stream: bool = True
    source: str = Field(default="", alias="from")
    files: dict[str, str] = Field(default_factory=dict)
    adapters: dict[str, str] = Field(default_factory=dict)
    template: str = ""
    system: str = ""
    license: Annotated[list[str], BeforeValidator(_parse_licenses)] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)
    messages: list[Message] = Field(default_factory=list)
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    info: dict[str, Any] = Field(default_factory=dict)
    modelfile: str = ""
    path: str = ""
    quantize: str = ""
    quantization: str = ""
    """What `quantize` was called at first."""

    def to_proto(self) -> registry_pb2.CreateRequest:
        """Convert for the wire.

        Raises:
            InvalidRequest: the parameters, the info or a tool call are nested too deeply.
        """
        return registry_pb2.CreateRequest(
            model=self.wanted.strip(),
            **{"from": self.source.strip()},
            files=self.files,
            adapters=self.adapters,
            template=self.template or None,
            system=self.system or None,
            licenses=[text for text in self.license if text],
            parameters_json=dump_json(self.parameters) if self.parameters else "",
            messages=[message.to_proto() for message in self.messages],
            renderer=self.renderer,
            parser=self.parser,
            requires=self.requires,
            info_json=dump_json(self.info) if self.info else "",
            modelfile=self.modelfile,
            path=self.path,
            quantize=(self.quantize or self.quantization).strip(),
        )


async def create(request: web.Request) -> web.StreamResponse:
    """Make the model and report each step, or only the last."""
    body = await read_body(request, CreateBody)
    steps = call_events(request.app[SERVICES].registry.Create(body.to_proto()))
    if body.stream:
        return await stream_objects(request, progress_objects(steps))
    return json_reply(await last_object(progress_objects(steps)))


ROUTES = [web.post("/api/create", create)]
