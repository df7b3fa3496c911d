"""`GET /healthz` and `GET /readyz`: for whoever starts and balances gateways."""

from dataclasses import dataclass

from aiohttp import web

from common.errors import Unavailable
from gateway.services import SERVICES

CHECK_TIMEOUT_SECONDS = 1.0


@dataclass
class Readiness:
    """Whether this process wants new requests."""

    draining: bool = False


READINESS = web.AppKey("readiness", Readiness)


async def healthz(request: web.Request) -> web.Response:  # noqa: ARG001
    """Tell that the process lives."""
    return web.Response(text="ok")


async def readyz(request: web.Request) -> web.Response:
    """Tell whether requests can be served: not draining, and every service takes work."""
    if request.app[READINESS].draining:
        raise Unavailable("not ready: shutting down")
    missing = await request.app[SERVICES].not_serving(CHECK_TIMEOUT_SECONDS)
    if missing:
        raise Unavailable(f"not ready: {', '.join(missing)} not serving")
    return web.Response(text="ok")


ROUTES = [web.get("/healthz", healthz), web.get("/readyz", readyz)]
