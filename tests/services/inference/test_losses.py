"""Workers and routers that die at random under load: every answer comes whole."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.services.inference.routers import Site, question, site
from tests.services.inference.test_router import settle

_SECONDS = 2.0


async def kill_workers(made: Site, chance: random.Random) -> None:
    """Kill and restart workers, one after another; one at least lives."""
    while True:
        worker = chance.choice(made.workers)
        await asyncio.sleep(chance.uniform(0.05, 0.2))
        await worker.die()
        await asyncio.sleep(chance.uniform(0.01, 0.2))
        await worker.start(made.address(worker))


@pytest.mark.parametrize("seed", range(2))
async def test_no_answer_is_lost_when_workers_die(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with site(tmp_path, workers=3, routers=2) as made:
        for worker in made.workers:
            worker.step = 0.005
        killing = asyncio.create_task(kill_workers(made, chance))
        loop = asyncio.get_running_loop()
        end, served = loop.time() + _SECONDS, 0

        async def ask_again_and_again(client: int) -> None:
            nonlocal served
            while loop.time() < end:
                text = " ".join(str(chance.random()) for _ in range(chance.randrange(1, 30)))
                answer = await made.ask(question(text, f"client {client % 5}"), client)
                assert answer == f"{text} "
                served += 1

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for client in range(20):
                group.create_task(ask_again_and_again(client))
        killing.cancel()
        assert served > 20
        assert any(start.tokens for worker in made.workers for start in worker.started)
        await settle(lambda: not any(worker.running for worker in made.workers))
