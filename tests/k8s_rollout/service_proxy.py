"""What stands for a cluster's proxy: connections to a Service's address go to a pod behind it.

A pod is chosen at random for each connection, and never again for the same one: as with rules of
the kernel's, a connection to a pod that is not there fails.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress

_PIECE = 64 * 1024
_LINGER_NOT = struct.pack("ii", 1, 0)  # a connection that is closed is reset

Choice = Callable[[], Sequence[tuple[str, int]]]
"""Gives the pods' addresses and ports, as they are known now."""


class ServiceProxy:
    """Listens at one port of a Service."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: str, port: int) -> None:
        """Take connections from now on."""
        self._server = await asyncio.start_server(self._accept, address, port)

    def close(self) -> None:
        """Take none any more, and end those that there are."""
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pods = self._choice()
        try:
            if not pods:
                raise ConnectionRefusedError
            pod_reader, pod_writer = await asyncio.open_connection(*random.choice(pods))
        except OSError:
            _reset(writer)
            return
        try:
            await asyncio.gather(_pipe(reader, pod_writer), _pipe(pod_reader, writer))
        finally:
            writer.close()
            pod_writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()
    except OSError:
        _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.close()
