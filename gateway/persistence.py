"""Calls to the Inference service that outlast the process that serves them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from aiohttp import web

from common.continuation import Continuation
from common.errors import Interrupted
from common.rpc import rpc_errors
from common.settings import seconds
from gateway.services import SERVICES
from gateway.settings import SETTINGS
from gateway.streaming import call_events
from protos.paddock.v1 import inference_pb2

T = TypeVar("T")

_FIRST_PAUSE = 0.05  # seconds
_LONGEST_PAUSE = 1.0


class Patience:
    """How long something that is interrupted again and again is tried."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.renew()

    def renew(self) -> None:
        """It gets further: begin to count anew."""
        self._deadline = asyncio.get_running_loop().time() + self._limit
        self._pause = _FIRST_PAUSE

    async def wait(self, error: Interrupted) -> None:
        """Wait a little before the next try.

        Raises:
            Interrupted: `error`; there was time enough.
        """
        if asyncio.get_running_loop().time() + self._pause > self._deadline:
            raise error
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def patience(request: web.Request) -> Patience:
    """Begin to count for a request."""
    return Patience(seconds(request.app[SETTINGS].recovery_timeout))


async def persist(request: web.Request, call: Callable[[], Awaitable[T]]) -> T:
    """Make a call, again where the process that served it is gone or leaves.

    Raises:
        PaddockError: the call failed otherwise, or was interrupted for too long.
    """
    trying = patience(request)
    while True:
        try:
            with rpc_errors():
                return await call()
        except Interrupted as error:
            await trying.wait(error)


async def answer_events(
    request: web.Request, wanted: inference_pb2.GenerateRequest
) -> AsyncGenerator[inference_pb2.GenerateResponse, None]:
    """Generate; where the router is lost or leaves in the middle, go on with another one.

    What it gives is for the client alone: deltas without tokens and usage.

    Raises:
        PaddockError: the generation failed, or was interrupted for too long.
    """
    inference = request.app[SERVICES].inference
    trying = patience(request)
    continuation = Continuation()
    while True:
        try:
            async with aclosing(call_events(inference.Generate(wanted))) as events:
                async for event in events:
                    if event.HasField("completed"):
                        yield event
                        return
                    trying.renew()
                    delta = event.delta
                    fresh = continuation.take(delta)
                    if fresh is delta:
                        yield _shown(event)
                    elif fresh:
                        yield _shown(inference_pb2.GenerateResponse(delta=fresh))
                return
        except Interrupted as error:
            await trying.wait(error)
            wanted.resumption.CopyFrom(continuation.resumption())
            continuation.restart()


def _shown(event: inference_pb2.GenerateResponse) -> inference_pb2.GenerateResponse:
    event.delta.ClearField("tokens")
    event.delta.ClearField("usage")
    return event
