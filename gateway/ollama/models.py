"""`/api/tags`, `/api/show`, `/api/copy`, `/api/delete`: the models in the store."""

from typing import Any

import orjson
from aiohttp import web
from pydantic import Field

from common.errors import InvalidRequest
from common.rpc import rpc_errors
from common.settings import seconds
from gateway.body import Body, dump_json, read_body
from gateway.ollama.encoding import details, timestamp, without_empty
from gateway.ollama.messages import message_object
from gateway.replies import encoded_reply, json_reply
from gateway.services import SERVICES
from gateway.settings import SETTINGS
from protos.paddock.v1 import registry_pb2

_COPILOT = "GitHubCopilotChat/"


class NamedBody(Body):
    """A body that names a model, with `name` as the older spelling of `model`."""

    model: str = ""
    name: str = ""

    @property
    def wanted(self) -> str:
        """The model's name as given."""
        return self.model or self.name

    def required(self) -> str:
        """Give the model's name without surrounding white space.

        Raises:
            InvalidRequest: there is none.
        """
        if name := self.wanted.strip():
            return name
        raise InvalidRequest("model is required")


class ShowBody(NamedBody):
    """The body of `/api/show`. A `template` has no effect, as in Ollama."""

    verbose: bool = False
    system: str = ""
    options: dict[str, Any] = Field(default_factory=dict)

    def to_proto(self) -> registry_pb2.ShowRequest:
        """Convert for the wire.

        Raises:
            InvalidRequest: no model is named, or the options are nested too deeply.
        """
        return registry_pb2.ShowRequest(
            model=self.required(),
            verbose=self.verbose,
            system=self.system,
            parameters_json=dump_json(self.options) if self.options else "",
        )


class DeleteBody(NamedBody):
    """The body of `/api/delete`."""


class CopyBody(Body):
    """The body of `/api/copy`."""

    source: str = ""
    destination: str = ""


async def tags(request: web.Request) -> web.Response:
    """List the models, newest first; each piece of the list is encoded as it comes."""
    pieces: list[bytes] = []
    pages = request.app[SERVICES].registry.List(
        registry_pb2.ListRequest(), timeout=seconds(request.app[SETTINGS].call_timeout)
    )
    try:
        with rpc_errors():
            async for page in pages:
                pieces += [orjson.dumps(_summary(model)) for model in page.models]
    finally:
        pages.cancel()
    return encoded_reply(b'{"models":[%b]}' % b",".join(pieces))


async def show(request: web.Request) -> web.Response:
    """Describe one model."""
    body = await read_body(request, ShowBody)
    with rpc_errors():
        response = await request.app[SERVICES].registry.Show(
            body.to_proto(), timeout=seconds(request.app[SETTINGS].call_timeout)
        )
    shown = _description(response)
    if request.headers.get("User-Agent", "").startswith(_COPILOT):
        # That client takes the model's name from there.
        shown["model_info"]["general.basename"] = body.wanted
    return json_reply(shown)


async def copy(request: web.Request) -> web.Response:
    """Give a model a second name; an existing model of that name is replaced."""
    body = await read_body(request, CopyBody)
    with rpc_errors():
        await request.app[SERVICES].registry.Copy(
            registry_pb2.CopyRequest(source=body.source, destination=body.destination),
            timeout=seconds(request.app[SETTINGS].call_timeout),
        )
    return web.Response()


async def delete(request: web.Request) -> web.Response:
    """Remove a model's name, and the files that no other model uses."""
    body = await read_body(request, DeleteBody)
    body.required()
    with rpc_errors():
        await request.app[SERVICES].registry.Delete(
            registry_pb2.DeleteRequest(model=body.wanted),
            timeout=seconds(request.app[SETTINGS].call_timeout),
        )
    return web.Response()


def _summary(model: registry_pb2.ModelSummary) -> dict[str, Any]:
    lengths = {
        "context_length": model.details.context_length,
        "embedding_length": model.details.embedding_length,
    }
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": timestamp(model.modified_at),
        "size": model.size,
        "digest": model.digest,
        "details": details(model.details) | without_empty(lengths),
        "capabilities": list(model.capabilities),
    }


def _description(model: registry_pb2.ShowResponse) -> dict[str, Any]:
    return without_empty(
        {
            "license": "\n".join(model.licenses),
            "modelfile": model.modelfile,
            "parameters": model.parameters,
            "template": model.template,
            "system": model.system,
            "renderer": model.renderer,
            "parser": model.parser,
            "requires": model.requires,
            "projector_info": orjson.loads(model.projector_info_json or "{}"),
            "messages": [message_object(message) for message in model.messages],
            "tensors": [_tensor(tensor) for tensor in model.tensors],
            "capabilities": list(model.summary.capabilities),
        }
    ) | {
        "details": details(model.summary.details),
        "model_info": orjson.loads(model.model_info_json or "{}"),
        "modified_at": timestamp(model.summary.modified_at),
    }


def _tensor(tensor: registry_pb2.Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "type": tensor.type, "shape": list(tensor.shape)}


ROUTES = [
    web.get("/api/tags", tags),
    web.post("/api/show", show),
    web.post("/api/copy", copy),
    web.delete("/api/delete", delete),
]
