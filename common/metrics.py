"""`/metrics` of a process that speaks gRPC: Prometheus's text format, over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from common.errors import Unavailable

if TYPE_CHECKING:
    from aiohttp import web


@asynccontextmanager
async def metrics_served(address: str, registry: CollectorRegistry) -> AsyncIterator[int | None]:
    """Answer at `host:port` within the block; give the port as bound, None without an address.

    Collectors are called on the event loop, so they see what it works on in one piece.

    Raises:
        Unavailable: the address cannot be listened on.
    """
    if not address:
        yield None
        return
    from aiohttp import web  # a fifth of a process' start, which most do without

    async def show(request: web.Request) -> web.Response:  # noqa: ARG001
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.add_routes([web.get("/metrics", show)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        yield await _listen(runner, address)
    finally:
        await runner.cleanup()


async def _listen(runner: "web.AppRunner", address: str) -> int:
    from aiohttp import web

    host, _, port = address.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]") or None, int(port)).start()
    except (OSError, ValueError, OverflowError) as error:
        raise Unavailable(f"cannot listen on {address}: {error}") from error
    bound: int = runner.addresses[0][1]
    return bound
