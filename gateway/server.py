"""The gateway's HTTP server: start, and drain."""

import asyncio
import logging

from aiohttp import web

from common.hosts import HostAddress
from common.settings import seconds
from gateway.app import make_app
from gateway.connections import ConnectionServer
from gateway.health import READINESS
from gateway.services import Services
from gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)


class Gateway:
    """One HTTP server over one set of channels."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._services = Services(
            blob=settings.blob, registry=settings.registry, inference=settings.inference
        )
        self._app = make_app(settings, self._services)
        self._application = web.AppRunner(self._app)
        self._listener: web.ServerRunner | None = None

    async def start(self) -> HostAddress:
        """Listen; give the address, with the port that was bound.

        Raises:
            OSError: the address cannot be bound.
        """
        wanted = HostAddress.parse(self._settings.host)
        await self._application.setup()
        self._listener = self._make_listener()
        await self._listener.setup()
        shared = self._settings.reuse_port or None
        site = web.TCPSite(self._listener, wanted.host or None, wanted.port, reuse_port=shared)
        await site.start()
        bound = HostAddress("http", wanted.host, self._listener.addresses[0][1])
        logger.info("listening on %s", bound.url)
        return bound

    async def stop(self) -> None:
        """Drain: report not ready, take no new requests, let the running ones finish."""
        self._app[READINESS].draining = True
        await asyncio.sleep(seconds(self._settings.drain_delay))
        if self._listener:
            await self._listener.cleanup()
        await self._application.cleanup()
        await self._services.close()

    def _make_listener(self) -> web.ServerRunner:
        """Make what listens: the application runner's own server has other connections."""
        application = self._application.server
        assert application
        access_log = logging.getLogger("gateway.access") if self._settings.access_log else None
        return web.ServerRunner(
            ConnectionServer(application, access_log=access_log),
            shutdown_timeout=seconds(self._settings.drain_timeout),
        )
