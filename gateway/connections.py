"""Connections: what aiohttp leaves unanswered when a request does not come whole.

aiohttp closes a connection as soon as the client has sent its last byte, so a client
whose body ends early gets no reply; and a body whose chunks it cannot read is left
unfinished for ever. Here both end the body with an error, which the request's handler
meets and answers. Bytes that are no HTTP get a JSON reply as well.

`web.Server` and `web.RequestHandler` are made to be built upon, with two exceptions that
`tests/gateway/test_connections.py` watches over: `RequestHandler._messages` holds what
was parsed and not yet begun, and `eof_received` may keep the connection open.
"""

import asyncio
import logging
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from common.errors import InvalidRequest
from gateway.replies import error_reply

logger = logging.getLogger(__name__)

# In bytes. Browsers send the cookies of whatever else runs on this host.
MAX_HEADER_LINE = 64 * 1024


class Connection(web.RequestHandler):
    """One client's connection, which knows the body of the request that is being answered."""

    __slots__ = ("_body", "_ended")

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            max_line_size=MAX_HEADER_LINE,
            max_field_size=MAX_HEADER_LINE,
            **options,
        )
        self._body: StreamReader | None = None
        self._ended = False

    def begin(self, body: StreamReader) -> None:
        """Watch over a request's body until `finish`."""
        self._body = body
        self._check_readable()

    def finish(self) -> None:
        """The request is answered; nobody waits for the rest of its body."""
        self._body = None

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        super().data_received(data)
        self._check_readable()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Take note that the client sends no more; keep the connection open for a reply.

        uvloop may report the same end twice.
        """
        if not self._ended:
            self._ended = True
            # A request that came right before is begun by a callback that is in line already.
            asyncio.get_running_loop().call_soon(self._end)
        return True

    def _end(self) -> None:
        """Answer a request that was cut off; else the client has left, also in mid-answer."""
        if self._is_unfinished():
            self._break_off("unexpected EOF")
        elif self.transport:
            self.transport.close()

    def _check_readable(self) -> None:
        # The parser goes on behind a body only when that is whole, or to report an error.
        if self._messages and self._is_unfinished():
            self._break_off("malformed chunked encoding")

    def _is_unfinished(self) -> bool:
        body = self._body
        return body is not None and not body.is_eof() and body.exception() is None

    def _break_off(self, complaint: str) -> None:
        """Let whoever reads the body meet an error; close once the request is answered."""
        assert self._body
        self._body.set_exception(InvalidRequest(complaint))
        self._body.feed_eof()
        self.close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP request with 400; leave defects to aiohttp."""
        if status != InvalidRequest.http_status:
            return super().handle_error(request, status, exc, message)
        complaint = (message or "bad request").partition("\n")[0].rstrip(" :")
        logger.info("%s sent no HTTP request: %s", request.remote, complaint)
        reply = error_reply(InvalidRequest(complaint))
        reply.force_close()
        return reply


class ConnectionServer(web.Server):
    """Makes a `Connection` for each client, and answers with an application.

    Args:
        application: the server of the application's runner; it listens nowhere itself.
        options: see `web.Server`.
    """

    def __init__(self, application: web.Server, **options: Any) -> None:
        super().__init__(
            self._answer,
            request_factory=self._begin,
            # A client that goes away cancels its handler, and with it the calls behind it.
            handler_cancellation=True,
        )
        self._application = application
        self._options = options

    def __call__(self) -> Connection:
        """Take a new connection."""
        return Connection(self, **self._options)

    def _begin(
        self,
        message: RawRequestMessage,
        body: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        assert isinstance(protocol, Connection)
        protocol.begin(body)
        return self._application.request_factory(message, body, protocol, writer, task)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        try:
            return await self._application.request_handler(request)
        finally:
            connection.finish()
