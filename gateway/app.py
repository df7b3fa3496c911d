"""The web application: its state, its middlewares, its routes."""

import socket

from aiohttp import web

from common.hosts import HostAddress
from gateway import health, metrics, ollama
from gateway.errors import errors
from gateway.health import READINESS, Readiness
from gateway.metrics import METRICS, Metrics, count_requests
from gateway.origins import BROWSER_POLICY, BrowserPolicy, allow_origin, guard_browsers, is_loopback
from gateway.services import SERVICES, Services
from gateway.settings import SETTINGS, GatewaySettings


def make_app(settings: GatewaySettings, services: Services) -> web.Application:
    """Put the application together."""
    app = web.Application(
        client_max_size=settings.max_body,
        middlewares=[count_requests, guard_browsers, errors],
    )
    app[SETTINGS] = settings
    app[SERVICES] = services
    app[METRICS] = Metrics()
    app[READINESS] = Readiness()
    app[BROWSER_POLICY] = BrowserPolicy(
        settings.origins,
        check_host=is_loopback(HostAddress.parse(settings.host).host),
        own_name=socket.gethostname(),
    )
    app.on_response_prepare.append(allow_origin)
    app.add_routes([*ollama.ROUTES, *health.ROUTES, *metrics.ROUTES])
    return app
