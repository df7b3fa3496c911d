"""What stands before several gateways: it sends requests to those that say they are ready."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from tests.integration.node import Gateway, url_of

_INTERVAL = 0.1  # seconds
_PATIENCE = 2.0


class Balancer:
    """Takes turns among the gateways whose `/readyz` says 200.

    When none does, it tries those that do not refuse connections: what is missing may come
    back in time.
    """

    def __init__(self, gateways: Sequence[Gateway]) -> None:
        self._gateways = gateways
        self._ready: set[Gateway] = set(gateways)
        self._turns = itertools.count()

    def next(self) -> Gateway:
        """Choose a gateway for a request."""
        choice = [it for it in self._gateways if it in self._ready] or self._gateways
        return choice[next(self._turns) % len(choice)]

    def refused(self, gateway: Gateway) -> None:
        """A gateway took no connection."""
        self._ready.discard(gateway)

    async def follow(self) -> None:
        """Ask all gateways again and again whether they are ready."""
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            for gateway in self._gateways:
                group.create_task(self._follow(session, gateway))

    async def _follow(self, session: aiohttp.ClientSession, gateway: Gateway) -> None:
        while True:
            try:
                async with session.get(f"{url_of(gateway)}/readyz") as answer:
                    ready = answer.status == 200
            except (aiohttp.ClientError, TimeoutError):
                ready = False
            (self._ready.add if ready else self._ready.discard)(gateway)
            await asyncio.sleep(_INTERVAL)


@asynccontextmanager
async def balancing(gateways: Sequence[Gateway]) -> AsyncIterator[Balancer]:
    """Balance over gateways."""
    balancer = Balancer(gateways)
    following = asyncio.create_task(balancer.follow())
    try:
        yield balancer
    finally:
        following.cancel()
