"""`GET /healthz`, `/readyz` and `/readyz/gateway`: for whoever starts and balances gateways."""

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
    _check_draining(request)
    missing = await request.app[SERVICES].not_serving(CHECK_TIMEOUT_SECONDS)
    if missing:
        raise Unavailable(f"not ready: {', '.join(missing)} not serving")
    return web.Response(text="ok")


async def readyz_gateway(request: web.Request) -> web.Response:
    """Tell whether this process takes requests, whatever becomes of them behind it."""
    _check_draining(request)
    return web.Response(text="ok")


def _check_draining(request: web.Request) -> None:
    if request.app[READINESS].draining:
        raise Unavailable("not ready: shutting down")


ROUTES = [
    web.get("/healthz", healthz),
    web.get("/readyz", readyz),
    web.get("/readyz/gateway", readyz_gateway),
]
