"""Giving up on requests that stand still."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.registry.remote.errors import Transient


@asynccontextmanager
async def moving(host: str, stall_timeout: float) -> AsyncIterator[Callable[[], None]]:
    """Give up on what stands still for so many seconds; what is given says that it does not.

    Raises:
        Transient: it stood still.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(stall_timeout) as limit:
            yield lambda: limit.reschedule(loop.time() + stall_timeout)
    except TimeoutError as error:
        raise Transient(f"{host} does not answer") from error
