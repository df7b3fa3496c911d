"""Clients that go away, read slowly, or stop reading."""

import asyncio
import json
import logging
import re
import socket
import struct

import pytest

from tests.gateway.conftest import World

REQUEST = json.dumps({"model": "tiny", "prompt": "one two"})


async def open_stream(world: World, *, receive_buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", world.port))
    head = f"POST /api/generate HTTP/1.1\r\nHost: x.local\r\nContent-Length: {len(REQUEST)}\r\n\r\n"
    await loop.sock_sendall(client, (head + REQUEST).encode())
    return client


async def until_active(world: World, count: int) -> None:
    async with asyncio.timeout(5):
        while world.backend.inference.active != count:
            await asyncio.sleep(0.005)


async def test_leaving_in_mid_stream_cancels_the_generation(world: World) -> None:
    world.backend.inference.endless = True
    client = await open_stream(world)
    assert b" 200 OK" in await asyncio.get_running_loop().sock_recv(client, 100)
    client.close()
    await asyncio.wait_for(world.backend.inference.canceled.wait(), 2)
    await until_active(world, 0)


async def test_leaving_before_the_first_word_cancels_the_generation(world: World) -> None:
    world.backend.inference.hold.clear()
    client = await open_stream(world)
    await until_active(world, 1)
    client.close()
    await asyncio.wait_for(world.backend.inference.canceled.wait(), 2)


async def test_leaving_without_streaming_cancels_the_generation(world: World) -> None:
    world.backend.inference.hold.clear()
    body = {"model": "tiny", "prompt": "x", "stream": False}
    request = asyncio.create_task(world.post("/api/generate", body))
    await until_active(world, 1)
    request.cancel()
    await asyncio.wait_for(world.backend.inference.canceled.wait(), 2)


async def test_a_client_that_stops_reading_holds_up_nobody_else(world: World) -> None:
    inference = world.backend.inference
    inference.endless = True
    inference.step = "x" * 10_000
    client = await open_stream(world, receive_buffer=4096)
    async with asyncio.timeout(20):
        while inference.yielded * len(inference.step) < 10_000_000:
            await asyncio.sleep(0.05)
    async with world.http.get("/api/tags") as response:
        assert response.status == 200
    client.close()
    await asyncio.wait_for(inference.canceled.wait(), 2)
    await until_active(world, 0)


@pytest.mark.parametrize("reset", [True, False])
async def test_leaving_while_a_write_is_blocked_is_no_error(
    world: World, caplog: pytest.LogCaptureFixture, reset: bool
) -> None:
    inference = world.backend.inference
    inference.endless = True
    inference.step = "x" * 10_000
    client = await open_stream(world, receive_buffer=4096)
    async with asyncio.timeout(20):
        while inference.yielded * len(inference.step) < 2_000_000:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    await asyncio.wait_for(inference.canceled.wait(), 2)
    await until_active(world, 0)
    assert await counted(world, 'route="/api/generate",status="499"') == 1
    assert not complaints(caplog)


@pytest.mark.parametrize(("reset", "status"), [(True, 499), (False, 400)])
async def test_leaving_in_mid_upload_is_no_error(
    world: World, caplog: pytest.LogCaptureFixture, reset: bool, status: int
) -> None:
    client = socket.create_connection(("127.0.0.1", world.port))
    client.sendall(b"POST /api/generate HTTP/1.1\r\nHost: x.local\r\nContent-Length: 100\r\n\r\n{")
    await asyncio.sleep(0.1)
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert await counted(world, f'route="/api/generate",status="{status}"') == 1
    assert not complaints(caplog)


def complaints(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Give the warnings and errors that the gateway logged; gRPC's are the fake's."""
    loud = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [record for record in loud if record.name.startswith(("aiohttp", "gateway"))]


async def counted(world: World, labels: str) -> int:
    """Read a count of requests once it is there."""
    async with asyncio.timeout(5):
        while True:
            async with world.http.get("/metrics") as response:
                metrics = await response.text()
            found = re.search(rf'_requests_total{{method="POST",{labels}}} (\d+)', metrics)
            if found:
                return int(found[1])
            await asyncio.sleep(0.05)


async def test_a_slow_reader_gets_every_word_in_order(world: World) -> None:
    words = [f"word{number}" for number in range(300)]
    body = {"model": "tiny", "prompt": " ".join(words)}
    async with world.http.post("/api/generate", json=body) as response:
        await asyncio.sleep(0.5)
        received = [json.loads(line)["response"] async for line in response.content]
    assert "".join(received).split() == words
