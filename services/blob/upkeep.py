"""What the Blob service does unasked: watch its store, and collect garbage."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from common.errors import PaddockError, StoreFull
from common.server import Server
from services.blob.collection import Collector
from store.interface import Store

logger = logging.getLogger(__name__)

_CHECK_INTERVAL = 2.0  # seconds
_CHECK_TIMEOUT = 3.0  # seconds; a network file system may hang
_FAILURES = 2


class Health:
    """Whether a store is usable, judged by its last checks.

    One that passes makes it so, and it takes several in a row that do not, lest a single
    slow answer takes a service out of use.
    """

    def __init__(self, failures: int = _FAILURES) -> None:
        self._tolerated = failures
        self._failures = failures

    @property
    def is_good(self) -> bool:
        """As far as is known; before the first check it is not."""
        return self._failures < self._tolerated

    def note(self, passed: bool) -> None:
        """Take note of a check."""
        self._failures = 0 if passed else self._failures + 1


async def watch_store(store: Store, server: Server, interval: float = _CHECK_INTERVAL) -> None:
    """Report health as long as the store answers. Runs until it is cancelled."""
    health = Health()
    told: str | None = None
    check: asyncio.Future[None] | None = None
    # A thread of its own: those of the service may all be waiting for a store that hangs.
    thread = ThreadPoolExecutor(1, thread_name_prefix="check")
    while True:
        check = check or asyncio.get_running_loop().run_in_executor(thread, store.check)
        await asyncio.wait([check], timeout=_CHECK_TIMEOUT)
        obstacle = _obstacle(check)
        if obstacle and obstacle != told:
            logger.error("a check of the store has failed: %s", obstacle)
        told = obstacle
        health.note(obstacle is None)
        await server.set_serving(health.is_good)
        if check.done():
            check = None
        await asyncio.sleep(interval)


async def collect_regularly(collector: Collector, interval: float) -> None:
    """Collect garbage now, then every `interval` seconds; 0 means once."""
    while True:
        try:
            await asyncio.to_thread(collector.collect_all)
        except PaddockError as error:
            logger.error("garbage is left: %s", error)
        if not interval:
            return
        await asyncio.sleep(interval)


def _obstacle(check: asyncio.Future[None]) -> str | None:
    """Say why a check has not passed. A full store is usable: it can be read and emptied."""
    if not check.done():
        return f"the store has not answered for {_CHECK_TIMEOUT:g} seconds"
    error = check.exception()
    return str(error) if error and not isinstance(error, StoreFull) else None
