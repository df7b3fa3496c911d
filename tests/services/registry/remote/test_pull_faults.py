"""Pulls from registries and over connections that fail, and pulls that are broken off."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from common.errors import RegistryFailed, Unauthorized
from services.registry.remote.client import RemoteSettings
from services.registry.remote.window import RANGE_SIZE
from tests.servers.fake_hub import FakeHub, Fault
from tests.services.registry.remote.pulling import large_blob, pull
from tests.services.registry.running import Registry, digest_of, running_registry

LARGE = digest_of(large_blob())
WINDOW = 3 * RANGE_SIZE


@pytest.fixture
async def registry(tmp_path: Path, settings: RemoteSettings) -> AsyncIterator[Registry]:
    async with running_registry(tmp_path / "models", remote=settings) as running:
        yield running


@pytest.fixture(autouse=True)
def model(hub: FakeHub) -> None:
    hub.add_model("library/x:latest", large_blob())


async def break_off(hub: FakeHub, registry: Registry, received: int) -> None:
    """Pull, and go away once the hub has sent that many bytes and all are stored."""
    hub.limit = received
    pulling = asyncio.create_task(pull(registry, "x"))
    async with asyncio.timeout(10):
        while hub.sent() < received:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    pulling.cancel()
    await asyncio.gather(pulling, return_exceptions=True)
    hub.limit = 0
    hub.go_on.set()


@pytest.mark.parametrize(
    ("ranges", "kind"), [*product([True, False], ["drop", "stall", "status"]), (True, "short")]
)
async def test_what_breaks_is_tried_again(
    hub: FakeHub, registry: Registry, ranges: bool, kind: str
) -> None:
    hub.ranges = ranges
    hub.faults[LARGE].extend([Fault(""), Fault(kind, after=3_000_000, status=503)])
    assert (await pull(registry, "x"))[-1].status == "success"
    assert LARGE in registry.stored_blobs()


async def test_a_range_that_broke_goes_on_where_it_was(hub: FakeHub, registry: Registry) -> None:
    hub.faults[LARGE].extend([Fault(""), Fault("short", after=3_000_000)])
    await pull(registry, "x")
    assert f"bytes=3000000-{RANGE_SIZE - 1}" in [seen.range for seen in hub.requests(LARGE)]
    assert hub.served[LARGE] == len(large_blob()) + 1


async def test_what_breaks_each_time_is_given_up(hub: FakeHub, registry: Registry) -> None:
    hub.faults[LARGE].extend(Fault("drop") for _ in range(50))
    with pytest.raises(RegistryFailed, match=r"^max retries exceeded: "):
        await pull(registry, "x")
    assert await registry.names() == []


async def test_a_link_that_has_expired_is_asked_for_anew(hub: FakeHub, registry: Registry) -> None:
    hub.redirect, hub.link_uses = 307, 2
    await pull(registry, "x")
    assert LARGE in registry.stored_blobs()


async def test_the_next_pull_goes_on_where_the_last_one_was_broken_off(
    hub: FakeHub, registry: Registry
) -> None:
    await break_off(hub, registry, 4 * RANGE_SIZE)
    before = hub.served[LARGE]
    lines = [line for line in await pull(registry, "x") if line.digest == LARGE]
    assert lines[0].completed > 0
    assert hub.served[LARGE] - before < len(large_blob()) - before + WINDOW
    assert LARGE in registry.stored_blobs()


async def test_a_registry_without_ranges_is_gone_on_with_as_well(
    hub: FakeHub, registry: Registry
) -> None:
    hub.ranges = False
    await break_off(hub, registry, 2 * RANGE_SIZE)
    lines = [line for line in await pull(registry, "x") if line.digest == LARGE]
    assert lines[0].completed > RANGE_SIZE
    assert LARGE in registry.stored_blobs()


async def test_bytes_that_went_wrong_before_are_fetched_once_more(
    hub: FakeHub, registry: Registry
) -> None:
    hub.faults[LARGE].extend([Fault(""), Fault("wrong")])
    await break_off(hub, registry, 3 * RANGE_SIZE)
    assert (await pull(registry, "x"))[-1].status == "success"
    assert LARGE in registry.stored_blobs()


@pytest.mark.parametrize("ranges", [True, False])
async def test_wrong_bytes_are_refused(hub: FakeHub, registry: Registry, ranges: bool) -> None:
    hub.ranges = ranges
    hub.blobs[LARGE] = bytes(len(large_blob()))
    got = digest_of(hub.blobs[LARGE])
    text = f"digest mismatch, file must be downloaded again: want {LARGE}, got {got}"
    with pytest.raises(RegistryFailed, match=f"^{text}$"):
        await pull(registry, "x")
    assert LARGE not in registry.stored_blobs()
    assert await registry.names() == []


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("change", [-1000, 1000])
async def test_another_size_than_the_manifests_is_refused(
    hub: FakeHub, registry: Registry, ranges: bool, change: int
) -> None:
    hub.ranges = ranges
    content = large_blob()
    hub.blobs[LARGE] = content[:change] if change < 0 else content + bytes(change)
    with pytest.raises(RegistryFailed, match=f"has {len(content) + change} bytes where"):
        await pull(registry, "x")


async def test_another_range_than_was_asked_for_is_refused(
    hub: FakeHub, registry: Registry
) -> None:
    hub.faults[LARGE].append(Fault("shifted"))
    with pytest.raises(RegistryFailed, match="another range"):
        await pull(registry, "x")


async def test_a_blob_that_is_not_there_is_an_error(hub: FakeHub, registry: Registry) -> None:
    del hub.blobs[LARGE]
    with pytest.raises(RegistryFailed, match="file does not exist"):
        await pull(registry, "x")
    assert await registry.names() == []


async def test_access_that_is_denied_says_so(hub: FakeHub, registry: Registry) -> None:
    hub.auth, hub.users = "bearer", {"ann": "secret"}
    with pytest.raises(Unauthorized, match=r"^pull model manifest: unauthorized: access denied"):
        await pull(registry, "x")


@pytest.mark.parametrize("ranges", [True, False])
async def test_bytes_that_trickle_in_are_asked_for_again(
    hub: FakeHub, tmp_path: Path, settings: RemoteSettings, ranges: bool
) -> None:
    hub.ranges = ranges
    hub.faults[LARGE].extend([Fault(""), Fault("drip", after=3_000_000)])
    impatient = replace(settings, stall_timeout=0.5, slowest_pull=100_000)
    async with running_registry(tmp_path / "impatient", remote=impatient) as registry:
        async with asyncio.timeout(20):
            assert (await pull(registry, "x"))[-1].status == "success"
        assert LARGE in registry.stored_blobs()


async def test_bytes_that_trickle_in_each_time_are_given_up(
    hub: FakeHub, tmp_path: Path, settings: RemoteSettings
) -> None:
    hub.faults[LARGE].extend([Fault(""), *(Fault("drip") for _ in range(50))])
    impatient = replace(settings, stall_timeout=0.3, slowest_pull=100_000)
    async with running_registry(tmp_path / "impatient", remote=impatient) as registry:
        with pytest.raises(RegistryFailed, match=r"^max retries exceeded: the connection stalled"):
            async with asyncio.timeout(20):
                await pull(registry, "x")
        assert await registry.names() == []


async def test_a_token_that_comes_in_pieces_is_read_whole(hub: FakeHub, registry: Registry) -> None:
    hub.auth, hub.token_pieces = "bearer", True
    assert (await pull(registry, "x"))[-1].status == "success"
