import asyncio

import pytest

from common.errors import InvalidRequest
from workers.tasks import run_all


async def double(number: int) -> int:
    await asyncio.sleep(0.01 / number)
    return 2 * number


async def refuse() -> int:
    raise InvalidRequest("no")


async def test_results_come_in_order() -> None:
    assert await run_all(double(number) for number in (1, 2, 3)) == [2, 4, 6]
    assert await run_all([]) == []


async def test_a_failure_ends_the_others_and_comes_alone() -> None:
    cancelled = asyncio.Event()

    async def wait() -> int:
        try:
            return await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(InvalidRequest, match="no"):
        await run_all([wait(), refuse(), refuse()])
    assert cancelled.is_set()


async def test_the_caller_is_cancelled() -> None:
    running = asyncio.create_task(run_all([double(1), double(1)]))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
