"""Keeping blobs that no manifest names yet from collection while they are being worked on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from common.errors import PaddockError
from services.registry.blob_client import BlobClient

logger = logging.getLogger(__name__)

RETAIN_INTERVAL = 600.0
"""Seconds; less than any sensible grace period."""


@asynccontextmanager
async def retaining(
    blobs: BlobClient,
    wanted: Callable[[], Iterable[str]],
    interval: float = RETAIN_INTERVAL,
    *,
    delay: float = 0.0,
) -> AsyncIterator[None]:
    """Keep blobs from collection, however long what is done meanwhile takes.

    Args:
        blobs: where they are.
        wanted: gives their digests, anew each time; those that are not stored do no harm.
        interval: seconds after which they are retained once more.
        delay: seconds before the first time. What is retained outlives its models' deletion by
            the grace period, so that what is short had better not do it.
    """
    task = asyncio.create_task(_retain(blobs, wanted, interval, delay))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _retain(
    blobs: BlobClient, wanted: Callable[[], Iterable[str]], interval: float, delay: float
) -> None:
    await asyncio.sleep(delay)
    while True:
        if digests := set(wanted()):
            try:
                await blobs.retain(digests)
            except PaddockError as error:
                logger.warning("blobs could not be retained: %s", error.message)
        await asyncio.sleep(interval)
