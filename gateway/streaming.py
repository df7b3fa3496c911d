"""Replies that are streamed line by line as newline-delimited JSON."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import grpc
from aiohttp import hdrs, web

from common.errors import Internal
from common.rpc import rpc_errors
from common.settings import seconds
from gateway.direct_lines import SLOW, DirectLines
from gateway.errors import as_paddock_error
from gateway.replies import error_object, json_line
from gateway.settings import SETTINGS

T = TypeVar("T")
Write = Callable[[bytes], Awaitable[None]]


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
    request: web.Request,
    objects: AsyncGenerator[dict[str, Any], None],
    direct: DirectLines | None = None,
) -> web.StreamResponse:
    """Send each object as one line, and in between what is written to `direct`.

    A failure before the first object is raised, so that it gets its own HTTP status;
    a later one becomes the last line. After one that is `done` comes none. A client that
    goes away ends the iteration, and so does one that takes nothing for too long.
    """
    async with aclosing(objects):
        first = await anext(objects, None)
        if first is None:
            raise Internal("a stream ended before it began")
        first_line, response = json_line(first), _Lines()
        await response.prepare(request)
        write, end = timed(request, response.write), timed(request, response.write_eof)
        if _is_last(first):
            await end(first_line)
            return response
        await write(first_line)
        if direct:
            direct.open(request, response)
        async with aclosing(_lines(objects)) as lines:
            async for line, is_last in lines:
                if is_last:
                    await end(line)
                    return response
                await write(line)
    await response.write_eof()
    return response


class _Lines(web.StreamResponse):
    """A reply whose head leaves together with the first line.

    Each packet costs sender and receiver a wake-up. aiohttp's own `Response` has this switch.
    """

    _send_headers_immediately = False

    def __init__(self) -> None:
        super().__init__(headers={hdrs.CONTENT_TYPE: "application/x-ndjson"})


async def last_object(objects: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any]:
    """Drain a stream and give its last object."""
    last = None
    async with aclosing(objects):
        async for item in objects:
            last = item
    if last is None:
        raise Internal("a stream ended before it began")
    return last


async def _lines(
    objects: AsyncIterator[dict[str, Any]],
) -> AsyncGenerator[tuple[bytes, bool], None]:
    """Give each line, and whether it is known to be the last."""
    try:
        async for item in objects:
            yield json_line(item), _is_last(item)
    except Exception as error:
        yield json_line(error_object(as_paddock_error(error))), True


def _is_last(item: dict[str, Any]) -> bool:
    return item.get("done") is True


def timed(request: web.Request, write: Write) -> Write:
    """Write to a client, and drop one that takes nothing for `write_timeout`.

    What is given raises ConnectionError when the client went away, or was dropped.
    """
    limit = seconds(request.app[SETTINGS].write_timeout) or None

    async def write_in_time(data: bytes) -> None:
        transport = request.transport
        if transport and transport.get_write_buffer_size() + len(data) <= SLOW:
            await write(data)
            return
        try:
            async with asyncio.timeout(limit):
                await write(data)
        except TimeoutError:
            if transport:
                transport.abort()
            raise ConnectionResetError("the client reads nothing") from None

    return write_in_time
