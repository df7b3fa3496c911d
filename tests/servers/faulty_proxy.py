"""A TCP proxy that counts what clients send, and cuts or holds connections on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_PIECE = 64 * 1024


class FaultyProxy:
    """Stands between clients and one server."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._cut_at: int | None = None
        self._hold_at: int | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._going = asyncio.Event()
        self._going.set()
        self.host = ""
        """Where it listens, as `host:port`."""
        self.sent = 0
        """Bytes from clients that went on to the server."""
        self.cuts = 0
        """Connections that were cut."""
        self.held = asyncio.Event()
        """Connections stand still."""

    def cut_after(self, size: int) -> None:
        """Cut the connection, once, on which clients have sent that many bytes more."""
        self._cut_at = self.sent + size

    def hold_after(self, size: int) -> None:
        """Pass nothing on any more when clients have sent that many bytes more."""
        self._hold_at = self.sent + size

    def let_go(self) -> None:
        """Pass everything on again."""
        self._hold_at = None
        self.held.clear()
        self._going.set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to serve a connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def end(self) -> None:
        """End all connections."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._upstream.rpartition(":")
        server_reader, server_writer = await asyncio.open_connection(host, int(port))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, server_writer))
                group.create_task(_copy(server_reader, writer))
        except* (ConnectionError, _Cut):
            writer.transport.abort()
        finally:
            for each in (writer, server_writer):
                each.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE):
            if self._hold_at is not None and self.sent >= self._hold_at:
                self._going.clear()
                self.held.set()
            await self._going.wait()
            self.sent += len(piece)
            writer.write(piece)
            await writer.drain()
            if self._cut_at is not None and self.sent >= self._cut_at:
                self._cut_at = None
                self.cuts += 1
                raise _Cut
        with suppress(OSError):
            writer.write_eof()


class _Cut(Exception):
    """The connection is to be cut."""


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()


@asynccontextmanager
async def running_proxy(upstream: str) -> AsyncIterator[FaultyProxy]:
    """Run a proxy before the server at `host:port`."""
    proxy = FaultyProxy(upstream)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    name, port = server.sockets[0].getsockname()[:2]
    proxy.host = f"{name}:{port}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
