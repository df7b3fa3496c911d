"""Names while the Registry comes and goes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.durations import SECOND
from common.errors import ModelNotFound, Unavailable
from common.rpc import open_channel
from common.server import Server
from protos.paddock.v1 import registry_pb2_grpc
from services.inference.resolver import Resolver
from tests.services.inference.fakes import FakeRegistry, resolved, unix_address


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def resolver(
    folder: Path, clock: Clock
) -> AsyncIterator[tuple[Resolver, FakeRegistry, Callable[[], Awaitable[None]]]]:
    address, server = unix_address(folder, "registry"), Server()
    registry = FakeRegistry(one=resolved("one"))  # type: ignore[abstract]
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(registry, server.grpc)
    await server.start(address)

    async def die() -> None:
        await server.stop(0)

    async with open_channel(address, retry=False) as channel:
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        yield Resolver(stub, clock, patience=0.1), registry, die
    await server.stop(0)


async def test_what_is_stored_now_is_served(tmp_path: Path) -> None:
    async with resolver(tmp_path, Clock()) as (it, registry, die):
        assert (await it.resolve("one")).spec.digest == "d-one"
        registry.models["one"].spec.digest = "another"
        assert (await it.resolve("one")).spec.digest == "another"
        del registry.models["one"]
        with pytest.raises(ModelNotFound):
            await it.resolve("one")
        await die()
        with pytest.raises(Unavailable):
            await it.resolve("one")


async def test_without_a_registry_its_last_word_holds_for_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    async with resolver(tmp_path, clock) as (it, _, die):
        await it.resolve("one")
        await die()
        clock.now = 59
        assert (await it.resolve("one")).spec.digest == "d-one"
        with pytest.raises(Unavailable):
            await it.resolve("never asked for")
        clock.now = 61
        with pytest.raises(Unavailable):
            await it.resolve("one")


async def test_a_registry_that_stalls_costs_one_request_a_moment(tmp_path: Path) -> None:
    clock = Clock()
    async with resolver(tmp_path, clock) as (it, registry, _):
        await it.resolve("one")
        registry.stalls = True
        for _ in range(5):
            assert (await it.resolve("one")).spec.digest == "d-one"
        assert registry.asked == 2
        clock.now = 2
        registry.stalls = False
        registry.models["one"].spec.digest = "another"
        assert (await it.resolve("one")).spec.digest == "another"


async def test_an_answer_holds_for_its_lease_and_no_longer(tmp_path: Path) -> None:
    clock = Clock()
    async with resolver(tmp_path, clock) as (it, registry, _):
        registry.models["one"].lease = SECOND // 4
        for clock.now in (0.0, 0.1, 0.2):
            assert (await it.resolve("one")).spec.digest == "d-one"
        assert registry.asked == 1
        clock.now = 0.25
        registry.models["one"].spec.digest = "another"
        assert (await it.resolve("one")).spec.digest == "another"
        del registry.models["one"]
        clock.now = 0.5
        with pytest.raises(ModelNotFound):
            await it.resolve("one")
        assert registry.asked == 3
