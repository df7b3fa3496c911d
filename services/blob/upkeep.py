"""What the Blob service does unasked: watch its store, and collect garbage."""

import asyncio
import logging

from common.errors import PaddockError
from common.rpc import Server
from services.blob.collection import Collector
from store.interface import Store

logger = logging.getLogger(__name__)

_CHECK_INTERVAL = 10.0  # seconds
_CHECK_TIMEOUT = 5.0  # seconds; a network file system may hang


async def watch_store(store: Store, server: Server, interval: float = _CHECK_INTERVAL) -> None:
    """Report health as long as the store is usable. Runs until it is cancelled."""
    check: asyncio.Task[None] | None = None
    while True:
        check = check or asyncio.create_task(asyncio.to_thread(store.check))
        await asyncio.wait([check], timeout=_CHECK_TIMEOUT)
        await server.set_serving(_passed(check))
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


def _passed(check: asyncio.Task[None]) -> bool:
    if not check.done():
        logger.error("the store has not answered for %g seconds", _CHECK_TIMEOUT)
        return False
    if error := check.exception():
        logger.error("not serving: %s", error)
        return False
    return True
