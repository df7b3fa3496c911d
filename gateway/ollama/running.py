"""`GET /api/ps`: the models that workers hold."""

from typing import Any

from aiohttp import web

from common.rpc import rpc_errors
from common.settings import seconds
from gateway.ollama.encoding import details, timestamp
from gateway.replies import json_reply
from gateway.services import SERVICES
from gateway.settings import SETTINGS
from protos.paddock.v1 import inference_pb2

# Go's longest duration from now on, rounded: clients take anything so far away as for ever.
NEVER = "2318-01-01T00:00:00Z"


async def ps(request: web.Request) -> web.Response:
    """List each model on each worker that holds it, longest remaining first."""
    with rpc_errors():
        response = await request.app[SERVICES].inference.ListRunning(
            inference_pb2.ListRunningRequest(), timeout=seconds(request.app[SETTINGS].call_timeout)
        )
    return json_reply({"models": [_running(model) for model in response.models]})


def _running(model: inference_pb2.RunningModel) -> dict[str, Any]:
    return _row(model) | (_status(model) if model.phase else {})


def _row(model: inference_pb2.RunningModel) -> dict[str, Any]:
    expires = timestamp(model.expires_at) if model.HasField("expires_at") else NEVER
    return {
        "name": model.name,
        "model": model.name,
        "size": model.memory or model.files_size,
        "digest": model.digest,
        "details": details(model.details),
        "expires_at": expires,
        "size_vram": model.accelerator_memory,
        "context_length": model.context_length,
        "worker": model.worker,
        "loading": model.loading,
        "requests": {"running": model.running, "waiting": model.waiting},
    }


def _status(model: inference_pb2.RunningModel) -> dict[str, Any]:
    """Tell how far a load is, in bytes of the model's files."""
    return {"status": {"phase": model.phase, "completed": model.fetched, "total": model.files_size}}


ROUTES = [web.get("/api/ps", ps, allow_head=False)]
