"""JSON replies."""

import math
from typing import Any

import orjson
from aiohttp import web

from common.errors import PaddockError

RETRY_AFTER_SECONDS = 1
_LINE_BREAKS = {
    "\u0085".encode(): rb"\u0085",
    "\u2028".encode(): rb"\u2028",
    "\u2029".encode(): rb"\u2029",
}
_SERVICE_UNAVAILABLE = 503


def json_reply(value: Any, status: int = 200) -> web.Response:
    """Answer with one JSON value."""
    return encoded_reply(orjson.dumps(value), status)


def encoded_reply(body: bytes, status: int = 200) -> web.Response:
    """Answer with one JSON value that is encoded already."""
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")


def json_line(value: Any) -> bytes:
    """Encode one line of a newline-delimited JSON stream.

    Whatever else Unicode calls a line break is escaped: some clients split at it, too.
    """
    return _without_line_breaks(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))


def json_text(text: str) -> bytes:
    """Encode a string in such a line."""
    return _without_line_breaks(orjson.dumps(text))


def _without_line_breaks(encoded: bytes) -> bytes:
    if not encoded.isascii():
        for character, escaped in _LINE_BREAKS.items():
            encoded = encoded.replace(character, escaped)
    return encoded


def error_object(error: PaddockError) -> dict[str, str]:
    """Give the object that reports an error in Ollama's API."""
    return {"error": error.message}


def error_reply(error: PaddockError) -> web.Response:
    """Answer with an error's status; what may work later says so in `Retry-After`."""
    reply = json_reply(error_object(error), error.http_status)
    if error.http_status == _SERVICE_UNAVAILABLE:
        reply.headers["Retry-After"] = str(math.ceil(error.retry_after or RETRY_AFTER_SECONDS))
    return reply
