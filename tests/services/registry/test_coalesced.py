import asyncio

import pytest

from services.registry.coalesced import Coalesced


class Source:
    """Numbers its calls; each waits until it is let through."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = asyncio.Semaphore(0)

    async def call(self) -> int:
        self.calls += 1
        number = self.calls
        await self.gate.acquire()
        if number == 3:
            raise ValueError(number)
        return number


async def asked(shared: Coalesced[int], times: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(shared.get()) for _ in range(times)]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_who_asks_during_a_call_shares_the_next() -> None:
    source = Source()
    shared = Coalesced(source.call)
    first, later = await asked(shared, 1), await asked(shared, 50)
    assert source.calls == 1
    source.gate.release()
    assert await asyncio.gather(*first) == [1]
    source.gate.release()
    assert await asyncio.gather(*later) == [2] * 50
    assert source.calls == 2


async def test_a_failure_reaches_all_who_share_it_and_nobody_else() -> None:
    source = Source()
    source.calls = 2
    shared = Coalesced(source.call)
    failing, fine = await asked(shared, 2), await asked(shared, 1)
    source.gate.release()
    source.gate.release()
    for task in failing:
        with pytest.raises(ValueError, match="3"):
            await task
    assert await asyncio.gather(*fine) == [4]


async def test_a_caller_that_goes_away_spoils_nothing_for_another() -> None:
    source = Source()
    shared = Coalesced(source.call)
    first, second = await asked(shared, 2)
    first.cancel()
    source.gate.release()
    assert await second == 1
