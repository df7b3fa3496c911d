"""Calls to the Inference service that outlast the process that serves them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Protocol, TypeVar

from aiohttp import web
from google.protobuf.message import Message

from common.continuation import Continuation
from common.errors import Interrupted, TimedOut, Unavailable
from common.mailbox import Event
from common.rpc import rpc_errors
from common.settings import seconds
from gateway.services import SERVICES
from gateway.settings import SETTINGS
from protos.paddock.v1 import generation_pb2, inference_pb2

Response = TypeVar("Response")

_FIRST_PAUSE = 0.05  # seconds
_LONGEST_PAUSE = 1.0
# Seconds after which a try that fails has been served, or has waited in a queue: that nobody
# answers is known sooner.
_SERVED = 20.0


class Writer(Protocol):
    """Writes to a client at once, where it can."""

    @property
    def takes_text(self) -> bool:
        """Whether it can write content alone."""

    def takes(self, delta: generation_pb2.Delta) -> bool:
        """Tell whether it can write a delta."""

    def write_text(self, content: str) -> None:
        """Write content; it must be taken, and this must not fail."""

    def write(self, delta: generation_pb2.Delta) -> None:
        """Write a delta; it must be taken, and this must not fail."""


class Patience:
    """How long a request may take, and how long it is tried when it is interrupted.

    Args:
        limit: seconds that an interruption may last.
        total: seconds that the request may take; 0: any.
    """

    def __init__(self, limit: float, total: float) -> None:
        self._limit = limit
        self._total = total
        self._tried = self._now()
        self._end = self._tried + total
        self.renew()

    def renew(self) -> None:
        """It gets further: another interruption may last as long again."""
        self._deadline: float | None = None  # of the interruption that it is in
        self._pause = _FIRST_PAUSE

    @property
    def left(self) -> float | None:
        """Seconds that the request may still take; None: any."""
        return max(self._end - self._now(), 0) if self._total else None

    @property
    def late(self) -> TimedOut:
        """How the request ends that takes longer."""
        return TimedOut(f"the request took longer than {self._total:g} s")

    async def wait(self, error: Unavailable) -> None:
        """Wait a little before the next try.

        Raises:
            TimedOut: the request has taken too long.
            Unavailable: `error`; it is no interruption, or has lasted too long.
        """
        now = self._now()
        if self._total and now >= self._end:
            raise self.late
        if now - self._tried > _SERVED:
            self.renew()
        if self._deadline is None:
            self._deadline = now + self._limit
        if not isinstance(error, Interrupted) or now + self._pause > self._deadline:
            raise error
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._tried = self._now()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def patience(request: web.Request) -> Patience:
    """Begin to count for a request."""
    settings = request.app[SETTINGS]
    return Patience(seconds(settings.recovery_timeout), seconds(settings.request_timeout))


async def persist(
    request: web.Request, method: Callable[..., Awaitable[Response]], wanted: Message
) -> Response:
    """Call a method, again where the process that served it is gone or leaves.

    Raises:
        PaddockError: the call failed otherwise, or was interrupted for too long.
    """
    trying = patience(request)
    while True:
        try:
            with rpc_errors():
                return await method(wanted, timeout=trying.left)
        except Unavailable as error:
            await trying.wait(error)


async def answer_events(
    request: web.Request, wanted: inference_pb2.GenerateRequest, writer: Writer | None = None
) -> AsyncGenerator[Event, None]:
    """Generate; where the router is lost or leaves in the middle, go on with another one.

    What `writer` takes does not come here.

    Raises:
        PaddockError: the generation failed, or was interrupted for too long.
    """
    answers = request.app[SERVICES].answers
    trying = patience(request)
    continuation = Continuation()
    fresh_only = _Fresh(continuation, trying, writer) if writer else None
    while True:
        try:
            left, late = trying.left, trying.late
            async with aclosing(answers.answer(wanted, left, late, fresh_only)) as events:
                async for event in events:
                    if isinstance(event, generation_pb2.Completed):
                        yield event
                        return
                    if fresh := continuation.take(event):
                        trying.renew()
                        yield fresh
        except Unavailable as error:
            await trying.wait(error)
            wanted.resumption.CopyFrom(continuation.resumption())
            continuation.restart()


class _Fresh:
    """A shortcut to a writer for what is new of an answer that may be told again."""

    def __init__(self, continuation: Continuation, trying: Patience, writer: Writer) -> None:
        self._continuation = continuation
        self._trying = trying
        self._writer = writer

    def take_text(self, content: str, token: int) -> bool:
        if not (self._writer.takes_text and self._continuation.take_text(content, token)):
            return False
        self._trying.renew()
        self._writer.write_text(content)
        return True

    def take(self, delta: generation_pb2.Delta) -> bool:
        if not self._writer.takes(delta):
            return False
        if fresh := self._continuation.take(delta):
            self._trying.renew()
            self._writer.write(fresh)
        return True
