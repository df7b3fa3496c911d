"""A TCP proxy that does to connections what a bad network does: delay, stall, reset, refuse."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_PIECE = 64 * 1024
_Pieces = asyncio.Queue[tuple[float, bytes]]
_LINGER_NOT = struct.pack("ii", 1, 0)  # a socket that is closed like this sends RST


class NetworkProxy:
    """Stands between clients and the server at `upstream`, a `host:port`.

    What comes faster than it may go on is held here, whatever its size.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self.address = ""
        """Where it listens, as `host:port`."""
        self.delay = 0.0
        """Seconds that everything takes longer, in both directions."""
        self.carried = 0
        """Bytes that went through, in both directions."""
        self.refusals = 0
        """Connections that were refused."""

    @property
    def connections(self) -> int:
        """Connections that are open on the clients' side."""
        return sum(not it.left.is_set() for it in self._connections.values())

    def stall(self) -> None:
        """Pass nothing on, on old and new connections, not even that one was closed."""
        self._flowing.clear()

    def reset(self) -> None:
        """Reset all connections; new ones are welcome."""
        for connection in self._connections.values():
            connection.reset()

    def refuse(self) -> None:
        """Reset all connections, and new ones at once."""
        self._refusing = True
        self.reset()

    def heal(self) -> None:
        """Be a good network again; what was held goes on."""
        self._refusing = False
        self.delay = 0.0
        self._flowing.set()

    async def given_up(self) -> None:
        """Wait until clients have closed every connection that is open now."""
        await asyncio.gather(*(it.left.wait() for it in self._connections.values()))

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to serve a connection."""
        connection = _Connection(self, reader, writer)
        if self._refusing:
            self.refusals += 1
            connection.reset()
            return
        task = asyncio.create_task(connection.serve(self._upstream))
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)

    async def end(self) -> None:
        """End all connections."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def carry(self, size: int, sent: float) -> None:
        """Let the time pass that some bytes are on their way, which were sent at a loop's time."""
        await self._flowing.wait()
        remaining = sent + self.delay - asyncio.get_running_loop().time()
        if remaining > 0:
            await asyncio.sleep(remaining)
        self.carried += size


class _Connection:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(
        self, proxy: NetworkProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writers = [writer]
        self.left = asyncio.Event()
        """The client has closed it, or it was reset."""

    async def serve(self, upstream: str) -> None:
        """Pass everything on until both sides are done, or one of them breaks."""
        host, _, port = upstream.rpartition(":")
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
            self._writers.append(writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(self._reader, writer, self.left))
                group.create_task(self._pass_on(reader, self._writers[0], asyncio.Event()))
        except* OSError:
            self.reset()
        finally:
            self.left.set()
            for each in self._writers:
                each.close()

    def reset(self) -> None:
        """Send RST to both sides."""
        self.left.set()
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            with suppress(OSError):  # it is closed already
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            writer.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ended: asyncio.Event
    ) -> None:
        waiting: _Pieces = asyncio.Queue()
        now = asyncio.get_running_loop().time
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write(waiting, writer))
            try:
                while piece := await reader.read(_PIECE):
                    waiting.put_nowait((now(), piece))
            finally:
                ended.set()
            waiting.put_nowait((now(), b""))

    async def _write(self, waiting: _Pieces, writer: asyncio.StreamWriter) -> None:
        while True:
            sent, piece = await waiting.get()
            await self._proxy.carry(len(piece), sent)
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()


@asynccontextmanager
async def running_network(upstream: str) -> AsyncIterator[NetworkProxy]:
    """Run a proxy before the server at `host:port`, which need not be there yet."""
    proxy = NetworkProxy(upstream)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    proxy.address = f"{host}:{port}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
