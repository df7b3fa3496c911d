"""Who goes ahead, who waits, who is refused."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from common.errors import Busy, Interrupted, TimedOut
from services.inference.admission import Admission

MODEL = "weights"


class Line:
    """Requests of one model that end when told to."""

    def __init__(self, slots: int = 1, max_queue: int = 100, patience: float | None = None) -> None:
        self.slots = slots
        self.admission = Admission(max_queue, lambda _: self.slots, patience)
        self.running: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def arrive(self, *names: str) -> None:
        """Let requests come, each of the client that its name begins with."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._ask(name))
            await settle()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await settle()

    async def _ask(self, name: str) -> None:
        async with self.admission.admit(MODEL, name[0]):
            self.running.append(name)
            self._ends[name] = asyncio.Event()
            try:
                await self._ends[name].wait()
            finally:
                self.running.remove(name)

    async def cancel(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def line(
    slots: int = 1, max_queue: int = 100, patience: float | None = None
) -> AsyncIterator[Line]:
    made = Line(slots, max_queue, patience)
    yield made
    await made.cancel()
    assert made.admission.waiting(MODEL) == 0
    assert made.admission.queues() == []


async def test_who_finds_a_free_slot_does_not_wait() -> None:
    async with line(slots=2) as it:
        await it.arrive("a1", "a2", "a3")
        assert it.running == ["a1", "a2"]
        assert it.admission.waiting(MODEL) == 1


async def test_a_place_that_is_free_goes_to_the_next_client() -> None:
    async with line() as it:
        await it.arrive("a1", "a2", "a3", "b1")
        order = []
        while it.running:
            order += it.running
            await it.end(it.running[0])
        assert order == ["a1", "b1", "a2", "a3"]


async def test_a_client_with_few_requests_is_not_held_up_by_one_with_many() -> None:
    async with line(slots=4) as it:
        await it.arrive(*(f"a{number}" for number in range(20)))
        await it.arrive("b1", "b2", "b3")
        await it.end("a0")
        await it.end("a1")
        assert it.running == ["a2", "a3", "b1", "b2"]
        await it.end("a2")
        assert it.running == ["a3", "b1", "b2", "a4"]


async def test_nobody_overtakes_the_queue() -> None:
    async with line() as it:
        await it.arrive("a1", "a2")
        it.slots = 2
        await it.arrive("b1")
        assert it.running == ["a1"]
        await it.end("a1")
        assert it.running == ["b1", "a2"]


async def test_room_that_comes_later_is_used() -> None:
    async with line() as it:
        await it.arrive("a1", "a2", "a3")
        changed = asyncio.Event()

        async def change() -> None:
            await changed.wait()
            changed.clear()

        following = asyncio.create_task(it.admission.follow(change))
        it.slots = 3
        changed.set()
        async with asyncio.timeout(5):
            while len(it.running) < 3:
                await asyncio.sleep(0.01)
        following.cancel()


async def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    async with line(max_queue=2) as it:
        await it.arrive("a1", "a2", "a3")
        with pytest.raises(Busy, match="server busy, please try again") as refused:
            async with it.admission.admit(MODEL, "b"):
                pass
        assert refused.value.retry_after == 1
        async with it.admission.admit("another model", "b"):
            pass


async def test_a_queue_of_none_lets_one_request_load_the_model() -> None:
    async with line(max_queue=0) as it:
        await it.arrive("a1")
        assert it.running == ["a1"]


@pytest.mark.parametrize("gone", ["a1", "a2"])
async def test_who_leaves_frees_the_place(gone: str) -> None:
    async with line() as it:
        await it.arrive("a1", "a2", "a3")
        it.tasks[gone].cancel()
        await settle()
        left = [name for name in ("a1", "a2", "a3") if name != gone]
        assert it.running == left[:1]
        await it.end(left[0])
        assert it.running == left[1:]


async def test_who_leaves_as_the_turn_comes_hands_it_on() -> None:
    async with line() as it:
        await it.arrive("a1", "a2", "a3")
        it._ends["a1"].set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        it.tasks["a2"].cancel()
        await settle()
        assert it.running == ["a3"]


async def test_patience_ends() -> None:
    async with line(patience=0.05) as it:
        await it.arrive("a1")
        with pytest.raises(TimedOut, match="the model was busy"):
            async with it.admission.admit(MODEL, "b"):
                pass
        assert it.running == ["a1"]


async def test_who_waits_is_sent_elsewhere_when_the_router_leaves() -> None:
    async with line() as it:
        await it.arrive("a1", "a2")
        it.admission.leave()
        await settle()
        with pytest.raises(Interrupted):
            await it.tasks["a2"]
        with pytest.raises(Interrupted):
            async with it.admission.admit(MODEL, "b"):
                pass
        assert it.running == ["a1"]


def orders(seed: int) -> Iterator[int]:
    while True:
        seed = (1103515245 * seed + 12345) % 2**31
        yield seed >> 8


@pytest.mark.parametrize("seed", range(5))
async def test_no_place_is_lost_whatever_happens(seed: int) -> None:
    async with line(slots=3, max_queue=1000) as it:
        numbers = orders(seed)
        for step in range(300):
            choice = next(numbers) % 4
            if choice < 2:
                await it.arrive(f"{'abc'[next(numbers) % 3]}{step}")
            elif choice == 2 and it.running:
                it._ends[it.running[next(numbers) % len(it.running)]].set()
            elif it.tasks:
                it.tasks[sorted(it.tasks)[next(numbers) % len(it.tasks)]].cancel()
            if next(numbers) % 3:
                await settle()
        await settle()
        assert len(it.running) <= 3
        assert len(it.running) == 3 or not it.admission.waiting(MODEL)
