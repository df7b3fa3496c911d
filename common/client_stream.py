"""The caller's side of a call that streams requests and is answered once.

The peer may answer before it has taken everything: with an error, or because it needs no
more. gRPC loses such an answer now and then. A write that was waiting for room fails when
the call ends, and whenever that is noticed after the answer has come, `grpc.aio` puts
"Internal error from Core" in the place of the status that it had. So the first status is
noted here, at the moment at which it is set. Where the write fails first it is the other
way round: the status of the call, once the call is over, is the peer's.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc

from common.errors import PaddockError
from common.rpc import BROKEN_STREAM, from_rpc_error

Request = TypeVar("Request")
Response = TypeVar("Response")
V = TypeVar("V")


class ClientStream(Generic[Request, Response]):
    """A call to which requests are written; leaving its context cancels what is not over."""

    def __init__(self, call: "grpc.aio.StreamUnaryCall[Request, Response]") -> None:
        self._call: Any = call
        self._first: grpc.aio.AioRpcError | None = None
        self._call.add_done_callback(self._note)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call.cancel()

    @property
    def answered(self) -> bool:
        """The peer has ended the call; what else is sent is in vain."""
        return bool(self._call.done())

    async def send(self, request: Request) -> None:
        """Send the next request as soon as the peer takes it.

        Raises:
            PaddockError: the peer has answered with it. An answer that is no error is
                left to `finish`.
        """
        try:
            await self._call.write(request)
        except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
            await self.finish()

    async def finish(self) -> Response:
        """Say that this was all, and give the answer.

        Raises:
            PaddockError: the answer is an error.
        """
        with suppress(grpc.aio.InternalError):  # the call ends just now
            await self._call.done_writing()
        try:
            response: Response = await self._call
        except grpc.aio.AioRpcError as error:
            raise self._peers(error) from error
        return response

    def _note(self, call: Any) -> None:
        code = _at_once(call.code())
        if code is not grpc.StatusCode.OK:
            self._first = grpc.aio.AioRpcError(
                code,
                _at_once(call.initial_metadata()),
                _at_once(call.trailing_metadata()),
                details=_at_once(call.details()),
            )

    def _peers(self, last: grpc.aio.AioRpcError) -> PaddockError:
        replaced = last.details() == BROKEN_STREAM
        return from_rpc_error(self._first if replaced and self._first else last)


async def send_all(
    call: "grpc.aio.StreamUnaryCall[Request, Response]", requests: AsyncGenerator[Request, None]
) -> Response:
    """Send requests until there are no more or the peer needs no more; give its answer.

    Raises:
        PaddockError: the answer is an error.
    """
    with ClientStream(call) as stream:
        async with aclosing(requests):
            async for request in requests:
                await stream.send(request)
                if stream.answered:
                    break
        return await stream.finish()


def _at_once(coroutine: Coroutine[Any, Any, V]) -> V:
    """Run a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        value: V = ended.value
        return value
    coroutine.close()
    raise RuntimeError("the status of a call is not known when it is said to be")
