"""The gateway's HTTP server: start, and drain."""

import asyncio
import logging

from aiohttp import web

from common.hosts import HostAddress
from common.settings import seconds
from gateway.app import make_app
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
        self._runner = web.AppRunner(
            self._app,
            # A client that goes away cancels its handler, and with it the calls behind it.
            handler_cancellation=True,
            access_log=logging.getLogger("gateway.access") if settings.access_log else None,
            shutdown_timeout=seconds(settings.drain_timeout),
        )

    async def start(self) -> HostAddress:
        """Listen; give the address, with the port that was bound.

        Raises:
            OSError: the address cannot be bound.
        """
        wanted = HostAddress.parse(self._settings.host)
        await self._runner.setup()
        await web.TCPSite(self._runner, wanted.host or None, wanted.port).start()
        bound = HostAddress("http", wanted.host, self._runner.addresses[0][1])
        logger.info("listening on %s", bound.url)
        return bound

    async def stop(self) -> None:
        """Drain: report not ready, take no new requests, let the running ones finish."""
        self._app[READINESS].draining = True
        await asyncio.sleep(seconds(self._settings.drain_delay))
        await self._runner.cleanup()
        await self._services.close()
