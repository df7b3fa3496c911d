"""JSON replies."""

from typing import Any

import orjson
from aiohttp import web

from common.errors import PaddockError

RETRY_AFTER_SECONDS = 1
_SERVICE_UNAVAILABLE = 503


def json_reply(value: Any, status: int = 200) -> web.Response:
    """Answer with one JSON value."""
    return web.Response(
        body=orjson.dumps(value), status=status, content_type="application/json", charset="utf-8"
    )


def json_line(value: Any) -> bytes:
    """Encode one line of a newline-delimited JSON stream."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def error_object(error: PaddockError) -> dict[str, str]:
    """Give the object that reports an error in Ollama's API."""
    return {"error": error.message}


def error_reply(error: PaddockError) -> web.Response:
    """Answer with an error's status; what may work later says so in `Retry-After`."""
    reply = json_reply(error_object(error), error.http_status)
    if error.http_status == _SERVICE_UNAVAILABLE:
        reply.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return reply
