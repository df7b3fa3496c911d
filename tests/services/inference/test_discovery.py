"""Workers behind names, with a name server of the tests' own."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

import pytest

from common.errors import InvalidRequest
from services.inference.discovery import Discovery, resolve


class Names:
    """Answers lookups from a table; a name that is not there is an error."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.asked = asyncio.Event()

    async def lookup(self, name: str, port: int) -> list[str]:
        self.asked.set()
        if name not in self.addresses:
            raise OSError("no such name")
        return [f"{address}:{port}" for address in self.addresses[name]]

    async def is_asked(self) -> None:
        """Wait until a lookup that begins now has been answered."""
        for _ in range(2):
            self.asked.clear()
            await asyncio.wait_for(self.asked.wait(), 5)


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def discovery(names: Names) -> AsyncIterator[Discovery]:
    made = Discovery(["a:1", "dns:pods:2", "dns:///more:3", "unix:/b"], names.lookup, 0.01)
    following = asyncio.create_task(made.follow(lambda: None))
    await names.is_asked()
    yield made
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_names_stand_for_all_addresses_behind_them(
    names: Names, discovery: Discovery
) -> None:
    assert discovery.named == ["a:1", "unix:/b"]
    names.addresses = {"pods": ["10.0.0.2", "10.0.0.1", "10.0.0.2"], "more": ["[::1]"]}
    await names.is_asked()
    assert discovery.named == ["a:1", "unix:/b", "10.0.0.1:2", "10.0.0.2:2", "[::1]:3"]
    names.addresses["pods"] = ["10.0.0.3"]
    await names.is_asked()
    assert discovery.named == ["a:1", "unix:/b", "10.0.0.3:2", "[::1]:3"]


async def test_a_lookup_that_fails_or_finds_nothing_changes_nothing(
    names: Names, discovery: Discovery, caplog: pytest.LogCaptureFixture
) -> None:
    names.addresses = {"pods": ["10.0.0.1"], "more": []}
    await names.is_asked()
    caplog.clear()
    caplog.set_level(logging.WARNING)
    for addresses in ({}, {"pods": list[str](), "more": list[str]()}):
        names.addresses = addresses
        for _ in range(3):
            await names.is_asked()
        assert discovery.named == ["a:1", "unix:/b", "10.0.0.1:2"]
    assert sum("at pods: no such name" in message for message in caplog.messages) == 1
    assert sum("at pods: no addresses" in message for message in caplog.messages) == 1


@pytest.mark.parametrize("address", ["dns:", "dns:name", "dns::1", "dns:name:", "dns:name:99999"])
def test_a_wrong_address_is_refused(address: str, names: Names) -> None:
    with pytest.raises(InvalidRequest, match="want dns:name:port"):
        Discovery([address], names.lookup, 1)


async def test_the_system_knows_this_machine() -> None:
    assert "127.0.0.1:50061" in await resolve("localhost", 50061)
    assert await resolve("::1", 50061) == ["[::1]:50061"]
    with pytest.raises(socket.gaierror):
        await resolve("no-such-host.invalid", 50061)
