"""A worker that comes, goes, and falls silent, as its client sees it."""

import asyncio
from pathlib import Path

from services.inference.worker_client import WorkerClient
from tests.services.inference.fakes import FakeWorker, unix_address


async def test_a_worker_that_says_nothing_any_more_is_given_up(tmp_path: Path) -> None:
    changed = asyncio.Event()
    address = unix_address(tmp_path, "frozen")
    worker = FakeWorker("frozen")
    await worker.start(address)
    client = WorkerClient(address, changed.set, silence=0.2)
    following = asyncio.create_task(client.follow())
    try:
        async with asyncio.timeout(5):
            for expected_to_live in (True, False, True):
                while (client.status is not None) is not expected_to_live:
                    changed.clear()
                    await changed.wait()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await client.aclose()
        await worker.die()
