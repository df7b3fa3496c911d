import asyncio

import pytest

from common.errors import Interrupted
from tests.workers.harness import model
from workers.lora.sharing import EngineKey
from workers.residents import Resident
from workers.uses import Uses


async def test_what_is_interrupted_twice_ends_once() -> None:
    """It waits for a load, and takes its time to leave when all others are interrupted."""
    uses = Uses()
    left = asyncio.Event()

    async def use() -> None:
        async with uses.begin(Resident(model(), 0, EngineKey("weights"))):
            try:
                await asyncio.Event().wait()
            finally:
                await left.wait()

    using = asyncio.create_task(use())
    await asyncio.sleep(0)
    uses.interrupt_waiting()
    await asyncio.sleep(0.01)
    uses.interrupt_all()
    left.set()
    with pytest.raises(Interrupted):
        await using
