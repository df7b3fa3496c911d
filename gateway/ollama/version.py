"""`/`, `/api/version` and `/api/status`: is it there, and what is it."""

from importlib.metadata import PackageNotFoundError, version

from aiohttp import web

from gateway.replies import json_reply


def _installed_version() -> str:
    try:
        return version("paddock")
    except PackageNotFoundError:
        # Run from a source tree that was never installed.
        return "0.0.0"


VERSION = _installed_version()


async def root(request: web.Request) -> web.Response:  # noqa: ARG001
    """Tell that the server runs, in the words that clients look for."""
    return web.Response(text="Ollama is running")


async def api_version(request: web.Request) -> web.Response:  # noqa: ARG001
    """Give the version of this package."""
    return json_reply({"version": VERSION})


async def api_status(request: web.Request) -> web.Response:  # noqa: ARG001
    """Tell that no request is ever passed on to a cloud."""
    return json_reply({"cloud": {"disabled": True, "source": "config"}})


ROUTES = [
    web.get("/", root),
    web.get("/api/version", api_version),
    web.get("/api/status", api_status, allow_head=False),
]
