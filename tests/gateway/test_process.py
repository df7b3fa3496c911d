"""The real process: it listens, drains on SIGTERM, and ends."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from gateway.server import Gateway
from gateway.settings import GatewaySettings
from tests.gateway.conftest import Backend

PROMPT = {"model": "tiny", "prompt": "one two"}


@dataclass
class Process:
    """A running gateway and its address."""

    process: asyncio.subprocess.Process
    url: str


@pytest.fixture
async def running(
    backend: Backend, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Process]:
    address = f"unix:{tmp_path}/backend"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "--host", "127.0.0.1:0"),
        *("--blob", address, "--registry", address, "--inference", address),
        *getattr(request, "param", ()),
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "PADDOCK_HOST"},
    )
    assert process.stderr
    try:
        async with asyncio.timeout(20):
            async for line in process.stderr:
                if found := re.search(rb"listening on (http\S+)", line):
                    break
        assert found
        yield Process(process, found[1].decode())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_running_stream_finishes_before_the_process_ends(
    running: Process, backend: Backend
) -> None:
    backend.inference.hold.clear()
    async with aiohttp.ClientSession(running.url) as http:
        stream = asyncio.create_task(http.post("/api/generate", json=PROMPT))
        async with asyncio.timeout(5):
            while not backend.inference.active:
                await asyncio.sleep(0.01)
        running.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        with pytest.raises(aiohttp.ClientConnectorError):
            await aiohttp.ClientSession().get(f"{running.url}/")
        backend.inference.hold.set()
        response = await stream
        assert '"done":true' in await response.text()
    assert await asyncio.wait_for(running.process.wait(), 5) == 0


@pytest.mark.parametrize("running", [["--drain-timeout", "500ms"]], indirect=True)
async def test_an_endless_stream_is_cut_after_the_grace_period(
    running: Process, backend: Backend
) -> None:
    backend.inference.hold.clear()
    async with aiohttp.ClientSession(running.url) as http:
        stream = asyncio.create_task(http.post("/api/generate", json=PROMPT))
        async with asyncio.timeout(5):
            while not backend.inference.active:
                await asyncio.sleep(0.01)
        started = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.process.wait(), 5) == 0
        assert 0.4 < time.monotonic() - started < 3
        assert (await asyncio.gather(stream, return_exceptions=True))[0] is not None
    await asyncio.wait_for(backend.inference.canceled.wait(), 2)


@pytest.mark.parametrize("running", [["--drain-delay", "1s"]], indirect=True)
async def test_readiness_goes_before_the_listener(running: Process) -> None:
    async with aiohttp.ClientSession(running.url) as http:
        for path in ("/readyz", "/readyz/gateway"):
            async with http.get(path) as response:
                assert response.status == 200
        running.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        for path in ("/readyz", "/readyz/gateway"):
            async with http.get(path) as response:
                assert response.status == 503
        async with http.post("/api/generate", json=PROMPT) as response:
            assert '"done":true' in await response.text()
    assert await asyncio.wait_for(running.process.wait(), 5) == 0


async def start_and_fail(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *arguments), stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode
    assert b"Traceback" not in stderr
    return stderr.decode()


async def test_a_wrong_setting_or_a_taken_port_is_named(running: Process) -> None:
    assert "--host: " in await start_and_fail("--host", "x:y")
    assert "--call-timeout: " in await start_and_fail("--call-timeout", "soon")
    taken = running.url.removeprefix("http://")
    assert f"cannot listen on {taken}" in await start_and_fail("--host", taken)


@pytest.mark.parametrize("running", [("--reuse-port",)], indirect=True)
async def test_gateways_may_share_a_port(running: Process, settings: GatewaySettings) -> None:
    host = running.url.removeprefix("http://")
    gateway = Gateway(settings.model_copy(update={"host": host, "reuse_port": True}))
    await gateway.start()
    both: set[str] = set()
    async with asyncio.timeout(10):
        while len(both) < 2:
            async with (
                aiohttp.ClientSession(running.url) as http,
                http.get("/metrics") as answer,
            ):
                text = await answer.text()
            both |= set(re.findall(r"^process_start_time_seconds (\S+)", text, re.MULTILINE))
    await gateway.stop()


async def test_a_body_that_ends_early_is_answered_on_this_event_loop_too(running: Process) -> None:
    reader, writer = await asyncio.open_connection(*running.url.removeprefix("http://").split(":"))
    writer.write(b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'{"error":"unexpected EOF"}')
    writer.close()
