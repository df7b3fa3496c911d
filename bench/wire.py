"""Clients that cost next to nothing, for servers that share the machine with them.

Each keeps one HTTP/1.1 connection and asks one thing after another. Of what comes it looks at
the ends of the records alone, and reads the last one once the answer is whole: the same for
streams of JSON lines and of server-sent events.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from bench.load import Answered

_END_OF_HEAD = b"\r\n\r\n"
_END_OF_ANSWER = b"\r\n0\r\n\r\n"  # the last chunk; JSON has its line ends escaped
_END_OF_RECORD = b"}\n"  # of a JSON line, and of an event
# The first that can be seen. The model begins with a space, which Paddock keeps until the next
# token tells that no thought begins there.
_FIRST_TEXT = re.compile(rb'"(?:response|text)":\s*" *[^" ]')
_TAIL = 2048  # bytes that hold the last record


@dataclass(frozen=True)
class Target:
    """A server, and what to ask it."""

    url: str
    path: str
    body: Callable[[int, int], dict[str, Any]]
    """Makes the request number so-and-so for an answer of so many tokens."""
    tokens: re.Pattern[bytes]
    """Where the last record states how many tokens the answer has."""


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, host: bytes) -> None:
        self._host = host
        self._answer: asyncio.Future[None] | None = None
        self._open = False
        self._begin()

    def _begin(self) -> None:
        self._head = self._tail = b""
        self._first = self._ended = 0.0
        self._records = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._open = True

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what was not answered."""
        self._open = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("the server has hung up"))

    def data_received(self, data: bytes) -> None:
        """Note the time of the first text and of the end."""
        self._records += data.count(_END_OF_RECORD)
        if not self._first:
            self._head += data
            head, _, body = self._head.partition(_END_OF_HEAD)
            if body and not head.startswith(b"HTTP/1.1 200"):
                self._fail(self._head)
                return
            if _FIRST_TEXT.search(body):
                self._first = time.monotonic()
        tail = data if len(data) >= _TAIL else self._tail + data
        self._tail = tail[-_TAIL:]
        if tail.endswith(_END_OF_ANSWER) and self._answer:
            self._ended = time.monotonic()
            self._first = self._first or self._ended
            self._answer.set_result(None)

    def _fail(self, text: bytes) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(RuntimeError(text.decode(errors="replace")))

    async def ask(self, target: Target, number: int, length: int) -> Answered:
        """Send a request and wait for its answer's end.

        Raises:
            RuntimeError: the answer is a failure, or not so many tokens long.
            ConnectionError: the server has hung up.
        """
        content = json.dumps(target.body(number, length)).encode()
        if not self._open:
            raise ConnectionResetError("the server has hung up")
        self._answer = asyncio.get_running_loop().create_future()
        self._begin()
        asked = time.monotonic()
        self._transport.write(
            b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b"
            % (target.path.encode(), self._host, len(content), content)
        )
        await self._answer
        counts = target.tokens.findall(self._tail)
        if not counts or int(counts[-1]) != length:
            raise RuntimeError(f"the answer is not {length} tokens long: {self._tail!r}")
        return Answered(asked, self._first, self._ended, length, "", self._records)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


async def connect(target: Target) -> Client:
    """Open a connection.

    Raises:
        OSError: nobody listens.
    """
    where = urlsplit(target.url)
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(
        lambda: Client(where.netloc.encode()), where.hostname or "", where.port or 80
    )
    return client
