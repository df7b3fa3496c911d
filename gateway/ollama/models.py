"""`/api/tags`, `/api/show`, `/api/copy`, `/api/delete`: the models in the store."""

from typing import Any

import orjson
from aiohttp import web

from common.errors import InvalidRequest
from common.rpc import rpc_errors
from common.settings import seconds
from gateway.body import Body, read_body
from gateway.ollama.encoding import details, timestamp, without_empty
from gateway.ollama.messages import message_object
from gateway.replies import json_reply
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
    """The body of `/api/show`."""

    verbose: bool = False
    system: str = ""


class CopyBody(Body):
    """The body of `/api/copy`."""

    source: str = ""
    destination: str = ""


async def tags(request: web.Request) -> web.Response:
    """List the models, newest first."""
    with rpc_errors():
        response = await request.app[SERVICES].registry.List(
            registry_pb2.ListRequest(), timeout=seconds(request.app[SETTINGS].call_timeout)
        )
    return json_reply({"models": [_summary(model) for model in response.models]})


async def show(request: web.Request) -> web.Response:
    """Describe one model."""
    body = await read_body(request, ShowBody)
    with rpc_errors():
        response = await request.app[SERVICES].registry.Show(
            registry_pb2.ShowRequest(model=body.required(), verbose=body.verbose),
            timeout=seconds(request.app[SETTINGS].call_timeout),
        )
    shown = _description(response)
    if body.system:
        shown["system"] = body.system
    if request.headers.get("User-Agent", "").startswith(_COPILOT):
        # That client takes the model's name from there.
        shown["model_info"]["general.basename"] = body.wanted
    return json_reply(shown)


async def copy(request: web.Request) -> web.Response:
    """Give a model a second name; an existing model of that name is replaced."""
    body = await read_body(request, CopyBody)
    source, destination = body.source.strip(), body.destination.strip()
    with rpc_errors():
        await request.app[SERVICES].registry.Copy(
            registry_pb2.CopyRequest(source=source, destination=destination),
            timeout=seconds(request.app[SETTINGS].call_timeout),
        )
    return web.Response()


async def delete(request: web.Request) -> web.Response:
    """Remove a model's name, and the files that no other model uses."""
    body = await read_body(request, NamedBody)
    with rpc_errors():
        await request.app[SERVICES].registry.Delete(
            registry_pb2.DeleteRequest(model=body.required()),
            timeout=seconds(request.app[SETTINGS].call_timeout),
        )
    return web.Response()


def _summary(model: registry_pb2.ModelSummary) -> dict[str, Any]:
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": timestamp(model.modified_at),
        "size": model.size,
        "digest": model.digest,
        "details": details(model.details),
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
