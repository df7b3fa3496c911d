"""Requests that do not come whole, and bytes that are no request.

This file also watches over what `gateway/connections.py` takes from inside aiohttp.
"""

import asyncio
import hashlib
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from common.errors import InvalidRequest
from gateway.connections import ConnectionServer
from gateway.server import Gateway
from gateway.settings import GatewaySettings
from tests.gateway.conftest import Backend, World

CONTENT = bytes(range(256)) * 5_000
BLOB = f"/api/blobs/sha256:{hashlib.sha256(CONTENT).hexdigest()}"
PROMPT = b'{"model": "tiny", "prompt": "one two", "stream": false}'


@dataclass
class Reply:
    """What a raw connection got."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def send(world: World, *parts: bytes, end: bool = False) -> Reply:
    """Send bytes, with a pause between the parts; read until the gateway closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05)
        if end:
            writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return Reply(int(head.split()[1]) if head else 0, body)


def post(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode()


def with_length(path: str, length: int) -> bytes:
    return post(path, f"Content-Length: {length}")


def chunked(path: str) -> bytes:
    return post(path, "Transfer-Encoding: chunked")


def complaints(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    loud = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [record for record in loud if record.name.startswith(("aiohttp", "gateway", "asyncio"))]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("head", "sent"),
    [
        (with_length("/api/generate", 100), b'{"model"'),
        (with_length("/api/generate", 100), b""),
        (with_length("/api/show", 100), b'{"model": "tiny"}'),
        (with_length(BLOB, len(CONTENT)), CONTENT[:-1]),
        (with_length(BLOB, len(CONTENT)), CONTENT[:10]),
        (chunked("/api/generate"), b'5\r\n{"mod'),
        (chunked("/api/generate"), b"2\r\n{}\r\n"),
        (chunked(BLOB), b"400\r\n" + CONTENT[:1024] + b"\r\n"),
    ],
)
async def test_a_body_that_ends_early_is_400(
    world: World, caplog: pytest.LogCaptureFixture, head: bytes, sent: bytes, together: bool
) -> None:
    reply = await send(world, *([head + sent] if together else [head, sent]), end=True)
    assert (reply.status, reply.json) == (400, {"error": "unexpected EOF"})
    assert not world.backend.blobs.stored
    assert not world.backend.inference.generated
    assert not complaints(caplog)


async def test_an_upload_that_ends_early_is_given_up_in_the_store(world: World) -> None:
    await send(world, with_length(BLOB, len(CONTENT)), CONTENT[:500_000], end=True)
    await asyncio.wait_for(world.backend.blobs.ended.wait(), 2)
    assert not world.backend.blobs.stored


async def test_a_cut_off_upload_may_follow_another_request(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(with_length("/api/generate", len(PROMPT)) + PROMPT)
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    assert (await reader.readuntil(b"}")).startswith(b"{")
    writer.write(with_length("/api/generate", 100) + b"{")
    writer.write_eof()
    assert b"unexpected EOF" in await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_an_upload_that_is_reset_leaves_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(with_length(BLOB, len(CONTENT)) + CONTENT[:1_200_000])
    async with asyncio.timeout(5):
        while not world.backend.blobs.received:
            await asyncio.sleep(0.01)
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await asyncio.wait_for(world.backend.blobs.ended.wait(), 2)
    assert not world.backend.blobs.stored
    assert not complaints(caplog)


async def test_leaving_after_an_early_answer_is_no_error(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.backend.blobs.stored[BLOB.removeprefix("/api/blobs/")] = CONTENT
    reply = await send(world, with_length(BLOB, len(CONTENT)), CONTENT[:10], end=True)
    assert reply.status == 200
    assert not complaints(caplog)


async def test_an_idle_client_that_leaves_is_let_go(world: World) -> None:
    assert await send(world, end=True) == Reply(0, b"")
    assert await send(world, b"POST /api/gen", end=True) == Reply(0, b"")


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("broken", [b"zz\r\n", b"5\r\nabcdefgh\r\n", b"2\r\n{}\r\nxx\r\n"])
async def test_a_broken_chunk_is_answered_at_once(
    world: World, caplog: pytest.LogCaptureFixture, broken: bytes, together: bool
) -> None:
    head = chunked("/api/generate")
    reply = await send(world, *([head + broken] if together else [head, broken]))
    assert reply.status == 400
    assert reply.json["error"]
    if not together:
        assert reply.json == {"error": "malformed chunked encoding"}
    assert not complaints(caplog)


async def test_a_broken_chunk_ends_an_upload(world: World) -> None:
    good = b"1000\r\n" + CONTENT[:4096] + b"\r\n"
    reply = await send(world, chunked(BLOB), good, b"nonsense\r\n")
    assert (reply.status, reply.json) == (400, {"error": "malformed chunked encoding"})
    await asyncio.wait_for(world.backend.blobs.ended.wait(), 2)
    assert not world.backend.blobs.stored


@pytest.mark.parametrize(
    "request_",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: abc\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_400_in_json(
    world: World, caplog: pytest.LogCaptureFixture, request_: bytes
) -> None:
    reply = await send(world, request_)
    assert reply.status == 400
    assert reply.json.keys() == {"error"}
    assert "\n" not in reply.json["error"]
    assert not complaints(caplog)


async def test_many_cookies_are_no_error(world: World) -> None:
    async with world.http.get("/api/tags", headers={"Cookie": "x" * 50_000}) as response:
        assert response.status == 200


async def test_a_client_that_offers_http2_is_served_as_ever(world: World) -> None:
    """As Java's own does on every first request."""
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA")
    request = post("/api/generate", *offer, f"Content-Length: {len(PROMPT)}") + PROMPT
    again = post("/api/generate", "Connection: close", f"Content-Length: {len(PROMPT)}") + PROMPT
    reply = await send(world, request, again)
    assert reply.status == 200
    assert reply.body.count(b'"one two "') == 2


class Wire(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed.is_set()
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        self.closed.set()


async def test_an_end_may_come_at_once_and_be_reported_twice() -> None:
    """As it may with uvloop, which reads on in the same callback and again when told to resume."""

    async def slow(request: web.Request) -> web.Response:
        with pytest.raises(InvalidRequest, match="unexpected EOF"):
            await request.read()
        await asyncio.sleep(0.05)
        return web.Response(text="late")

    application = web.Application()
    application.router.add_post("/", slow)
    runner = web.AppRunner(application)
    await runner.setup()
    assert runner.server
    connection = ConnectionServer(runner.server)()
    wire = Wire()
    connection.connection_made(wire)
    connection.data_received(with_length("/", 9) + b"x")
    assert connection.eof_received()
    await asyncio.sleep(0.01)
    assert connection.eof_received()
    await asyncio.wait_for(wire.closed.wait(), 2)
    assert wire.written.endswith(b"late")
    connection.connection_lost(None)
    await runner.cleanup()


@pytest.fixture
async def impatient(settings: GatewaySettings, backend: Backend) -> AsyncIterator[int]:
    """A gateway that does not wait long for a body; its port."""
    gateway = Gateway(settings.model_copy(update={"body_timeout": "300ms"}))
    address = await gateway.start()
    yield address.port
    await gateway.stop()


@pytest.mark.parametrize("head", [with_length(BLOB, 9), chunked("/api/generate")])
async def test_a_body_that_stalls_is_408(impatient: int, backend: Backend, head: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient)
    writer.write(head + b"1\r\n{\r\n")
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 2)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"error":"no more of the request\'s body came for 300ms"}' in answer
    writer.close()
    assert not backend.blobs.stored


async def test_a_body_that_comes_slowly_is_waited_for(impatient: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient)
    writer.write(with_length("/api/generate", len(PROMPT)))
    for byte in range(0, len(PROMPT), 10):
        await asyncio.sleep(0.1)
        writer.write(PROMPT[byte : byte + 10])
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    assert b" 200 " in answer
    writer.close()


async def test_a_slow_store_is_not_the_clients_fault(impatient: int, backend: Backend) -> None:
    backend.blobs.reading.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient)
    writer.write(with_length(BLOB, len(CONTENT)) + CONTENT)
    await asyncio.sleep(0.8)
    backend.blobs.reading.set()
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert b" 201 " in answer
    writer.close()
