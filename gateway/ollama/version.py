"""`/`, `/api/version` and `/api/status`: is it there, and what is it."""

from aiohttp import web

from gateway.replies import json_reply

# Clients ask for the least version of Ollama that has what they need (Copilot: 0.6.4), so
# the answer is the version whose API is served; our own stands in the Server header.
API_VERSION = "0.33.0"


async def root(request: web.Request) -> web.Response:  # noqa: ARG001
    """Tell that the server runs, in the words that clients look for."""
    return web.Response(text="Ollama is running")


async def api_version(request: web.Request) -> web.Response:  # noqa: ARG001
    """Give the version of Ollama whose API this is."""
    return json_reply({"version": API_VERSION})


async def api_status(request: web.Request) -> web.Response:  # noqa: ARG001
    """Tell that no request is ever passed on to a cloud."""
    return json_reply({"cloud": {"disabled": True, "source": "config"}})


ROUTES = [
    web.get("/", root),
    web.get("/api/version", api_version),
    web.get("/api/status", api_status, allow_head=False),
]
