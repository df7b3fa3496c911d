"""Endpoints of Ollama that are not offered yet: a clear refusal instead of a fake."""

from aiohttp import web

from common.errors import Unsupported


async def not_offered(request: web.Request) -> web.Response:
    """Refuse."""
    raise Unsupported(f"{request.path} is not supported yet")


ROUTES = [
    web.route("*", "/v1/{rest:.*}", not_offered),
]
