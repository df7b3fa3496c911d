"""Replies that are streamed line by line as newline-delimited JSON."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import grpc
from aiohttp import web

from common.errors import Internal
from common.rpc import rpc_errors
from common.settings import seconds
from gateway.errors import as_paddock_error
from gateway.replies import error_object, json_line
from gateway.settings import SETTINGS

T = TypeVar("T")


async def call_events(call: grpc.aio.UnaryStreamCall[Any, T]) -> AsyncGenerator[T, None]:
    """Give what a streaming call answers; however the iteration ends, the call is over.

    Raises:
        PaddockError: the call failed.
    """
    try:
        with rpc_errors():
            async for event in call:
                yield event
    finally:
        call.cancel()


async def stream_objects(
    request: web.Request, objects: AsyncGenerator[dict[str, Any], None]
) -> web.StreamResponse:
    """Send each object as one line.

    A failure before the first object is raised, so that it gets its own HTTP status;
    a later one becomes the last line. A client that goes away ends the iteration.
    """
    async with aclosing(objects):
        first = await anext(objects, None)
        if first is None:
            raise Internal("a stream ended before it began")
        response = web.StreamResponse()
        response.content_type = "application/x-ndjson"
        await response.prepare(request)
        settings = request.app[SETTINGS]
        lines = LineWriter(
            response.write, settings.stream_buffer, seconds(settings.write_timeout) or None
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(lines.run())
                await lines.put(json_line(first))
                await _put_all(objects, lines)
                lines.close()
        except ExceptionGroup as failures:
            # Only the writer can fail in this group: the client went away, or reads nothing.
            if request.transport:
                request.transport.abort()
            raise failures.exceptions[0] from None
    await response.write_eof()
    return response


async def last_object(objects: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any]:
    """Drain a stream and give its last object."""
    last = None
    async with aclosing(objects):
        async for item in objects:
            last = item
    if last is None:
        raise Internal("a stream ended before it began")
    return last


async def _put_all(objects: AsyncIterator[dict[str, Any]], lines: "LineWriter") -> None:
    try:
        async for item in objects:
            await lines.put(json_line(item))
    except Exception as error:
        await lines.put(json_line(error_object(as_paddock_error(error))))


class LineWriter:
    """Writes lines to a client; those that pile up while the socket is busy leave together.

    At most `limit` bytes and one line wait here, besides what is being written: `put`
    then waits for the client, and with it whoever reads from the engine. A client that takes
    nothing for `timeout` seconds is given up; None: never.
    """

    def __init__(
        self,
        write: Callable[[bytes], Awaitable[None]],
        limit: int,
        timeout: float | None = None,
    ) -> None:
        self._write = write
        self._limit = limit
        self._timeout = timeout
        self._pending: list[bytes] = []
        self._size = 0
        self._closed = False
        self._ready = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, line: bytes) -> None:
        """Queue a line; wait while too much is queued."""
        self._pending.append(line)
        self._size += len(line)
        self._ready.set()
        if self._size >= self._limit:
            self._room.clear()
            await self._room.wait()

    def close(self) -> None:
        """Let `run` return once everything is written."""
        self._closed = True
        self._ready.set()

    async def run(self) -> None:
        """Write until closed.

        Raises:
            ConnectionError: the client went away, or was given up.
        """
        while self._pending or not self._closed:
            await self._ready.wait()
            self._ready.clear()
            batch = b"".join(self._pending)
            self._pending.clear()
            self._size = 0
            self._room.set()
            if batch:
                await self._write_in_time(batch)

    async def _write_in_time(self, batch: bytes) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._write(batch)
        except TimeoutError:
            raise ConnectionResetError("the client reads nothing") from None
