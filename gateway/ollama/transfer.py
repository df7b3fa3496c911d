"""`POST /api/pull` and `POST /api/push`: models from and to other registries."""

from collections.abc import AsyncGenerator

from aiohttp import web

from gateway.body import read_body
from gateway.ollama.models import NamedBody
from gateway.ollama.progress import progress_objects
from gateway.replies import json_reply
from gateway.services import SERVICES
from gateway.streaming import call_events, last_object, stream_objects
from protos.paddock.v1 import registry_pb2


class TransferBody(NamedBody):
    """The body of either. A `username` and a `password` have no effect, as in Ollama."""

    insecure: bool = False
    stream: bool = True


async def pull(request: web.Request) -> web.StreamResponse:
    """Bring a model and report each step, or only the last."""
    body = await read_body(request, TransferBody)
    call = request.app[SERVICES].registry.Pull(
        registry_pb2.PullRequest(model=body.wanted.strip(), insecure=body.insecure)
    )
    return await _report(request, call_events(call), stream=body.stream)


async def push(request: web.Request) -> web.StreamResponse:
    """Send a model and report each step, or only the last."""
    body = await read_body(request, TransferBody)
    call = request.app[SERVICES].registry.Push(
        registry_pb2.PushRequest(model=body.wanted.strip(), insecure=body.insecure)
    )
    return await _report(request, call_events(call), stream=body.stream)


async def _report(
    request: web.Request, steps: AsyncGenerator[registry_pb2.Progress, None], *, stream: bool
) -> web.StreamResponse:
    if stream:
        return await stream_objects(request, progress_objects(steps))
    return json_reply(await last_object(progress_objects(steps)))


ROUTES = [web.post("/api/pull", pull), web.post("/api/push", push)]
