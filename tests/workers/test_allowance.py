import asyncio

import pytest

from workers.allowance import Allowance


class Task:
    """Takes a part and keeps it until it is told to leave."""

    def __init__(self, allowance: Allowance, part: int) -> None:
        self.has = False
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._run(allowance, part))

    async def _run(self, allowance: Allowance, part: int) -> None:
        async with allowance.take(part):
            self.has = True
            await self.leave.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_parts_are_given_while_they_fit_and_in_order() -> None:
    allowance = Allowance(10)
    first, second, third, small = (Task(allowance, part) for part in (6, 4, 3, 1))
    await settle()
    assert [task.has for task in (first, second, third, small)] == [True, True, False, False]
    second.leave.set()
    await settle()
    assert third.has
    assert small.has


async def test_more_than_all_is_given_alone() -> None:
    allowance = Allowance(10)
    large, small = Task(allowance, 11), Task(allowance, 1)
    await settle()
    assert large.has
    assert not small.has
    large.leave.set()
    await settle()
    assert small.has


async def test_who_stops_waiting_holds_nobody_up() -> None:
    allowance = Allowance(10)
    first, large, small = (Task(allowance, part) for part in (6, 9, 4))
    await settle()
    large.task.cancel()
    await settle()
    assert small.has
    assert first.has


async def test_an_error_gives_the_part_back() -> None:
    allowance = Allowance(10)
    with pytest.raises(ValueError, match="wrong"):
        async with allowance.take(10):
            raise ValueError("wrong")
    async with asyncio.timeout(30), allowance.take(10):
        pass
