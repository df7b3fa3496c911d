"""The web application: its state, its middlewares, its routes."""

import socket
from importlib.metadata import PackageNotFoundError, version

from aiohttp import web

from common.hosts import HostAddress
from gateway import health, metrics, ollama
from gateway.errors import errors
from gateway.health import READINESS, Readiness
from gateway.metrics import METRICS, Metrics, count_requests
from gateway.origins import BROWSER_POLICY, BrowserPolicy, allow_origin, guard_browsers
from gateway.services import SERVICES, Services
from gateway.settings import SETTINGS, GatewaySettings


def _installed_version() -> str:
    try:
        return version("paddock")
    except PackageNotFoundError:
        # Run from a source tree that was never installed.
        return "0.0.0"


_SERVER = f"paddock/{_installed_version()}"


def make_app(settings: GatewaySettings, services: Services) -> web.Application:
    """Put the application together."""
    # `/api/tags/` leads to `/api/tags`, with method and body kept.
    without_slash = web.normalize_path_middleware(
        append_slash=False,
        remove_slash=True,
        merge_slashes=False,
        redirect_class=web.HTTPTemporaryRedirect,
    )
    app = web.Application(middlewares=[count_requests, guard_browsers, errors, without_slash])
    app[SETTINGS] = settings
    app[SERVICES] = services
    app[METRICS] = Metrics()
    app[READINESS] = Readiness()
    app[BROWSER_POLICY] = BrowserPolicy(
        settings.origins,
        check_host=HostAddress.parse(settings.host).is_loopback,
        own_name=socket.gethostname(),
    )
    app.on_response_prepare.append(allow_origin)
    app.on_response_prepare.append(_name_server)
    app.add_routes([*ollama.ROUTES, *health.ROUTES, *metrics.ROUTES])
    return app


async def _name_server(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = _SERVER
    if request.app[READINESS].draining:
        # A client that keeps its connection would send its next request to a closed one.
        response.force_close()
        response.headers["Connection"] = "close"
