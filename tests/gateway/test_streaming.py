"""How lines become writes."""

import asyncio

import pytest

from gateway.streaming import LineWriter


class Socket:
    """Takes a write only while it is open."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, data: bytes) -> None:
        self.writes.append(data)
        await self.open.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_line_leaves_at_once_while_the_socket_is_free() -> None:
    socket = Socket()
    lines = LineWriter(socket.write, 100)
    running = asyncio.create_task(lines.run())
    for line in (b"a\n", b"b\n"):
        await lines.put(line)
        await settle()
    lines.close()
    await running
    assert socket.writes == [b"a\n", b"b\n"]


async def test_lines_that_pile_up_leave_together() -> None:
    socket = Socket()
    socket.open.clear()
    lines = LineWriter(socket.write, 100)
    running = asyncio.create_task(lines.run())
    await lines.put(b"a\n")
    await settle()
    for line in (b"b\n", b"c\n", b"d\n"):
        await lines.put(line)
    lines.close()
    socket.open.set()
    await running
    assert socket.writes == [b"a\n", b"b\nc\nd\n"]


async def test_a_stuck_socket_holds_up_whoever_puts() -> None:
    socket = Socket()
    socket.open.clear()
    lines = LineWriter(socket.write, 100)
    running = asyncio.create_task(lines.run())
    accepted = 0

    async def produce() -> None:
        nonlocal accepted
        while True:
            await lines.put(bytes(10))
            accepted += 10

    producing = asyncio.create_task(produce())
    await asyncio.sleep(0.05)
    assert accepted <= 200
    socket.open.set()
    await asyncio.sleep(0.05)
    assert accepted > 200
    producing.cancel()
    lines.close()
    await running


async def test_a_socket_that_breaks_ends_the_writer() -> None:
    async def broken(data: bytes) -> None:
        raise ConnectionResetError

    lines = LineWriter(broken, 100)
    await lines.put(b"a\n")
    with pytest.raises(ConnectionResetError):
        await lines.run()
