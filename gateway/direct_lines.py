"""Lines that leave at once, without a task in between that writes them."""

import asyncio

from aiohttp import hdrs, web

# Bytes in a transport's buffer at which a client counts as slow. asyncio and aiohttp let a
# writer wait from twice as many on.
SLOW = 32 * 1024


class DirectLines:
    """Writes lines of a chunked reply whose writer waits for something else.

    The chunks are framed here (RFC 9112, 7.1) and go to the connection's transport, behind
    what aiohttp wrote to it.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None

    def open(self, request: web.Request, response: web.StreamResponse) -> None:
        """Begin, once the first line was written; what is not chunked stays with its writer."""
        if response.headers.get(hdrs.TRANSFER_ENCODING) == "chunked":
            self._transport = request.transport

    @property
    def takes_more(self) -> bool:
        """Whether the client reads as fast as lines come, as far as is known."""
        transport = self._transport
        return (
            transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() <= SLOW
        )

    def write(self, line: bytes) -> None:
        """Write a line; the writer must be waiting, and more be taken."""
        assert self._transport
        self._transport.write(b"%x\r\n%b\r\n" % (len(line), line))
