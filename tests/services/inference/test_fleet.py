"""Workers that come, go and share names, as two routers see them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from protos.paddock.v1 import generation_pb2, worker_pb2
from services.inference.affinity import Prefix, prefix_of
from services.inference.discovery import Lookup
from services.inference.fleet import Fleet
from services.inference.placement import Wanted, replicas_of, wanted_by
from tests.services.inference.fakes import FakeWorker, resolved, unix_address
from tests.services.inference.test_router import settle

ONE = resolved("one").spec
PINNED = -1


class Place:
    """Workers at addresses below a folder, and names for them that change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.named: list[str] = []
        self.workers: dict[str, FakeWorker] = {}

    def address(self, name: str) -> str:
        return unix_address(self.folder, name)

    async def lookup(self, name: str, port: int) -> list[str]:
        return [self.address(found) for found in self.named]

    async def start(self, *names: str) -> None:
        for name in names:
            worker = self.workers[name] = FakeWorker(name, room=2)
            await worker.start(self.address(name))

    async def stop(self) -> None:
        for worker in self.workers.values():
            await worker.die()


class Taken:
    """The text that a worker gave."""

    def __init__(self) -> None:
        self.text = ""

    def take_text(self, content: str, token: int) -> None:
        self.text += content

    def take(self, delta: generation_pb2.Delta) -> None:
        self.text += delta.content


@asynccontextmanager
async def following(*addresses: str, lookup: Lookup | None = None) -> AsyncIterator[Fleet]:
    fleet = Fleet(addresses, lookup=lookup, interval=0.01) if lookup else Fleet(addresses)
    task = asyncio.create_task(fleet.follow())
    try:
        yield fleet
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(fleet: Fleet, *workers: str) -> None:
    """Wait until a fleet has exactly these workers."""
    async with asyncio.timeout(5):
        while sorted(it.worker for it in fleet.candidates()) != sorted(workers):
            await fleet.change()


def free_port(host: str) -> int:
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host.strip("[]"), 0))
        return int(probe.getsockname()[1])


def question(text: str) -> Prefix:
    message = generation_pb2.Message(role="user", content=text)
    chat = generation_pb2.Chat(messages=[message])
    return prefix_of(ONE, generation_pb2.Generation(chat=chat))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    yield made
    await made.stop()


async def test_workers_join_under_a_name_and_leave(place: Place) -> None:
    await place.start("a", "b")
    place.named = ["a"]
    async with following("dns:workers:1", lookup=place.lookup) as fleet:
        await until(fleet, "a")
        place.named = ["a", "b"]
        await until(fleet, "a", "b")
        await place.workers["a"].die()
        await until(fleet, "b")
        place.named = ["b"]
        await asyncio.sleep(0.1)
        await place.start("a")
        await asyncio.sleep(0.5)
        await until(fleet, "b")  # nobody asks for it any more
        place.named = ["a", "b"]
        await until(fleet, "a", "b")


async def test_a_worker_without_a_name_stays_while_it_lives(place: Place) -> None:
    await place.start("a", "b")
    place.named = ["a", "b"]
    start = worker_pb2.StartSequence(spec=ONE)
    message = start.generation.chat.messages.add(role="user", content="word " * 60)
    place.workers["a"].step = 0.005
    async with following("dns:workers:1", lookup=place.lookup) as fleet:
        await until(fleet, "a", "b")
        client = fleet.worker(place.address("a"))
        assert client is not None
        taken = Taken()
        running = asyncio.create_task(client.run(start, taken))
        await settle(lambda: bool(taken.text))
        place.named = ["b"]
        await running
        assert taken.text == message.content
        await until(fleet, "a", "b")
        await place.workers["a"].die()
        await until(fleet, "b")
        await place.start("a")
        await asyncio.sleep(0.5)
        await until(fleet, "b")


async def test_names_that_cannot_be_looked_up_leave_all_as_it_is(place: Place) -> None:
    await place.start("a")
    place.named = ["a"]
    async with following("dns:workers:1", lookup=place.lookup) as fleet:
        await until(fleet, "a")
        place.named = []
        await asyncio.sleep(0.1)
        await place.workers["a"].die()
        await until(fleet)
        await place.start("a")
        await until(fleet, "a")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_the_system_finds_a_worker_on_this_machine(place: Place, host: str) -> None:
    port = free_port(host)
    worker = place.workers["a"] = FakeWorker("a")
    await worker.start(f"{host}:{port}")
    async with following(f"dns:localhost:{port}", f"dns:{host}:{port}") as fleet:
        await until(fleet, "a")
        assert len(fleet.reachable()) == 1


async def test_a_worker_with_two_addresses_is_one(place: Place) -> None:
    await place.start("a")
    (place.folder / "alias").symlink_to(place.folder / "a")
    async with following(place.address("a"), place.address("alias")) as fleet:
        await until(fleet, "a")
        await asyncio.sleep(0.3)
        assert len(fleet.candidates()) == len(fleet.reachable()) == 1
        assert fleet.worker(place.address("a"))
        assert fleet.worker(place.address("alias"))


async def test_a_worker_that_restarts_is_another_one(place: Place) -> None:
    await place.start("a")
    async with following(place.address("a")) as fleet:
        await until(fleet, "a")
        await place.workers["a"].die()
        place.workers["a"].name = "a, the second"
        await place.workers["a"].start(place.address("a"))
        await until(fleet, "a, the second")


async def test_two_routers_place_alike_and_learn_from_what_they_watch(place: Place) -> None:
    names = "abcd"
    await place.start(*names)
    addresses = [place.address(name) for name in names]
    async with following(*addresses) as here, following(*reversed(addresses)) as there:
        for fleet in (here, there):
            await until(fleet, *names)
        for number in range(20):
            wanted = Wanted(f"m{number}")
            chosen = await here.place(wanted, ())
            other = await there.place(wanted, ())
            assert chosen
            assert other
            assert chosen.address == other.address
        holder = await here.place(wanted_by(ONE), ())
        assert holder
        await holder.load(worker_pb2.LoadModelRequest(spec=ONE))
        async with asyncio.timeout(5):
            while not replicas_of(there.candidates(), wanted_by(ONE)):
                await there.change()
        served = await there.place(wanted_by(ONE), (), question("hello"))
        assert served
        assert served.address == holder.address


async def test_two_routers_send_a_conversation_to_the_same_worker(place: Place) -> None:
    names = "abcd"
    await place.start(*names)
    for worker in place.workers.values():
        await worker.load(ONE)
    addresses = [place.address(name) for name in names]
    async with following(*addresses) as here, following(*reversed(addresses)) as there:
        for fleet in (here, there):
            await until(fleet, *names)
        for number in range(20):
            first = await here.place(wanted_by(ONE), (), question(f"question {number}"))
            assert first
            here.served(question(f"question {number}"), first.address, 0.1)
            second = await there.place(wanted_by(ONE), (), question(f"question {number}"))
            assert second
            assert second.address == first.address


async def test_a_refusal_sends_the_request_to_another_replica(place: Place) -> None:
    await place.start("a", "b")
    for worker in place.workers.values():
        await worker.load(ONE)
    async with following(place.address("a"), place.address("b")) as fleet:
        await until(fleet, "a", "b")
        first = await fleet.place(wanted_by(ONE), ())
        assert first
        second = await fleet.place(wanted_by(ONE), {first.address})
        assert second
        assert second.address != first.address
        assert await fleet.place(wanted_by(ONE), {first.address, second.address}) is None


async def test_only_one_replica_is_kept_for_ever(place: Place) -> None:
    await place.start("a", "b", "c")
    addresses = [place.address(name) for name in "abc"]
    wanted = wanted_by(ONE)
    async with following(*addresses) as fleet:
        await until(fleet, "a", "b", "c")
        assert [fleet.keep_alive(wanted, it, PINNED) for it in addresses] == [PINNED] * 3
        for worker in place.workers.values():
            await worker.load(ONE)
        async with asyncio.timeout(5):
            while len(replicas_of(fleet.candidates(), wanted)) < 3:
                await fleet.change()
        kept = [fleet.keep_alive(wanted, it, PINNED) for it in addresses]
        assert sorted(kept, key=str) == [PINNED, None, None]
        for asked in (None, 0, 5):
            assert [fleet.keep_alive(wanted, it, asked) for it in addresses] == [asked] * 3
