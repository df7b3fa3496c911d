"""A queue that is full refuses what it cannot hold, and serves what it holds."""

import asyncio
from itertools import islice
from pathlib import Path

import aiohttp

from tests.integration.cluster import SIMULATED, Shape, running_cluster

_RUNNING = 2
_WAITING = 3
_MORE = 4
# So slow that nothing ends by itself meanwhile.
_SLOW = ("--simulated-token-time", "200ms")


async def test_requests_beyond_the_queue_are_told_to_come_back(
    tmp_path: Path, demo_store: Path
) -> None:
    shape = Shape(
        router_flags=("--max-queue", str(_WAITING)),
        worker_flags=(*SIMULATED, *_SLOW, "--max-sequences", str(_RUNNING)),
    )
    async with (
        running_cluster(tmp_path, demo_store, shape) as cluster,
        aiohttp.ClientSession(cluster.urls[0]) as session,
    ):
        await cluster.post("/api/generate", {"model": "demo"})
        enough = asyncio.Event()

        async def ask(number: int) -> tuple[int, str, str]:
            """Ask, and leave in the middle of the answer when there was enough."""
            body = {"model": "demo", "prompt": f"Story {number}"}
            async with session.post("/api/generate", json=body) as answer:
                text = (await answer.content.readline()).decode()
                if answer.status == 200:
                    await enough.wait()
                return answer.status, answer.headers.get("Retry-After", ""), text

        asked = [asyncio.create_task(ask(it)) for it in range(_RUNNING + _WAITING + _MORE)]
        refused = [await done for done in islice(asyncio.as_completed(asked), _MORE)]
        for status, retry_after, text in refused:
            assert status == 503
            assert int(retry_after) > 0
            assert "server busy, please try again.  maximum pending requests exceeded" in text
        enough.set()
        statuses = [status for status, _, _ in await asyncio.gather(*asked)]
        assert statuses.count(200) == _RUNNING + _WAITING
