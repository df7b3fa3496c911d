"""A pull through the real processes, some of which are killed in the middle of it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from common.rpc import is_serving
from services.registry.remote.window import RANGE_SIZE
from tests.integration.suite import free_port
from tests.servers.fake_hub import FakeHub
from tests.services.registry.remote.pulling import large_blob
from tests.services.registry.running import blob_path, digest_of

LARGE = digest_of(large_blob())
RECEIVED = 4 * RANGE_SIZE
WINDOW = 2


@dataclass
class Processes:
    """A gateway, a registry and a blob service over one folder."""

    home: Path
    hub: FakeHub
    url: str = field(default_factory=lambda: f"http://127.0.0.1:{free_port()}")
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    def address(self, kind: str) -> str:
        return f"unix:{self.home}/{kind}.sock"

    async def start(self, kind: str) -> None:
        """Start one of them and wait until it takes work."""
        flags = {
            "services.blob": ("--store", str(self.home / "models")),
            "services.registry": (
                *("--blob", self.address("services.blob"), "--pull-window", str(WINDOW)),
                *("--default-registry", self.hub.url),
            ),
        }[kind]
        self.running[kind] = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", kind, "--listen", self.address(kind), *flags)
        )
        async with asyncio.timeout(60):
            while not await is_serving(self.address(kind)):
                await asyncio.sleep(0.05)

    async def start_gateway(self) -> None:
        services = [
            f"--{kind}=unix:{self.home}/services.{kind}.sock" for kind in ("blob", "registry")
        ]
        self.running["gateway"] = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", f"--host={self.url}", *services)
        )

    async def kill(self, kind: str) -> None:
        self.running[kind].kill()
        await self.running.pop(kind).wait()

    async def pull(self) -> list[dict[str, Any]]:
        """Pull through the REST API; give all lines."""
        async with (
            aiohttp.ClientSession(self.url) as http,
            http.post("/api/pull", json={"model": "x"}) as answer,
        ):
            assert answer.status == 200
            return [json.loads(line) async for line in answer.content]

    async def pull_until(self, received: int) -> "asyncio.Task[list[dict[str, Any]]]":
        """Begin a pull; return once the hub has sent that much, and sends nothing more."""
        self.hub.limit = received
        pulling = asyncio.create_task(self.pull())
        async with asyncio.timeout(60):
            while self.hub.sent() < received:
                assert not pulling.done()
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        return pulling

    def release(self) -> None:
        self.hub.limit = 0
        self.hub.go_on.set()


@pytest.fixture
async def processes(hub: FakeHub, tmp_path: Path) -> AsyncIterator[Processes]:
    hub.add_model("library/x:latest", large_blob(), b"MIT")
    hub.redirect = 307
    processes = Processes(tmp_path, hub)
    try:
        await asyncio.gather(
            processes.start("services.blob"),
            processes.start("services.registry"),
            processes.start_gateway(),
        )
        async with asyncio.timeout(60), aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(processes.url):
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
        yield processes
    finally:
        for kind in list(processes.running):
            await processes.kill(kind)


async def test_what_was_received_before_a_kill_is_not_fetched_again(
    processes: Processes, hub: FakeHub
) -> None:
    broken = await processes.pull_until(RECEIVED)
    await processes.kill("services.registry")
    assert "error" in (await broken)[-1]
    processes.release()
    await asyncio.sleep(0.1)
    before = hub.served[LARGE]
    await processes.start("services.registry")
    lines = await processes.pull()
    assert lines[-1] == {"status": "success"}
    assert next(line for line in lines if line.get("digest") == LARGE)["completed"] > 0
    # Only what was in memory was lost.
    again = hub.served[LARGE] - before - (len(large_blob()) - RECEIVED)
    assert again <= (WINDOW + 1) * RANGE_SIZE
    assert blob_path(processes.home / "models", LARGE).read_bytes() == large_blob()


async def test_a_pull_outlasts_a_restart_of_the_blob_service(processes: Processes) -> None:
    pulling = await processes.pull_until(RECEIVED)
    await processes.kill("services.blob")
    processes.release()
    await processes.start("services.blob")
    assert (await pulling)[-1] == {"status": "success"}
    assert blob_path(processes.home / "models", LARGE).read_bytes() == large_blob()
