"""The streams that carry all answers of this process from the Inference service."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager

import grpc

from common.errors import Interrupted, PaddockError, TooLarge
from common.mailbox import Event, Mailbox, Shortcut
from common.rpc import MAX_MESSAGE, from_rpc_error
from common.sequence_stream import SequenceStream
from protos.paddock.v1 import generation_pb2, inference_pb2, inference_pb2_grpc

# So many answers share a stream before another one is opened: then the messages that each
# engine step costs are few, and several routers have their share.
_SHARED_BY = 64
_MOST_STREAMS = 16
_MOST_BYTES = MAX_MESSAGE - 1024  # a larger message would end the whole stream


class AnswerStreams:
    """Opens streams as they are needed; gRPC gives each to another Inference process in turn.

    Args:
        stub: of the Inference service.
        lifetime: seconds after which a stream takes no more answers, so that processes that
            came later get theirs.
    """

    def __init__(
        self, stub: inference_pb2_grpc.InferenceServiceStub, lifetime: float = 60.0
    ) -> None:
        self._stub = stub
        self._lifetime = lifetime
        self._streams: set[_Stream] = set()

    async def answer(
        self,
        request: inference_pb2.GenerateRequest,
        timeout: float | None,
        late: PaddockError,
        shortcut: Shortcut | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Stream an answer and at last how it ended; leaving this before the end cancels it.

        Args:
            request: what to answer.
            timeout: seconds that it may take; None: any.
            late: raised when it takes longer.
            shortcut: what it takes does not come here; see `Mailbox`.

        Raises:
            Interrupted: the process that answered is lost, or leaves.
            PaddockError: it failed.
        """
        if request.ByteSize() > _MOST_BYTES:
            raise TooLarge(f"the request is larger than {_MOST_BYTES} bytes")
        stream = self._choose()
        mailbox = Mailbox(shortcut)
        with stream.running(request, mailbox), _ended_after(timeout, mailbox, late):
            while True:
                try:
                    event = await mailbox.receive()
                except Interrupted:
                    stream.retire()
                    raise
                yield event
                if isinstance(event, generation_pb2.Completed):
                    return

    async def close(self) -> None:
        """Cancel all that runs."""
        await asyncio.gather(*(stream.close() for stream in list(self._streams)))

    def _choose(self) -> "_Stream":
        """Give the stream with the fewest answers, or a new one where all have many."""
        open_ones = [stream for stream in self._streams if stream.takes_more]
        least = min(open_ones, key=len, default=None)
        if least is None or (len(least) >= _SHARED_BY and len(open_ones) < _MOST_STREAMS):
            least = _Stream(self._stub, self._lifetime, self._streams.discard)
            self._streams.add(least)
        return least


class _Stream:
    """One call; it ends some time after it was opened, once its last answer has ended."""

    def __init__(
        self,
        stub: inference_pb2_grpc.InferenceServiceStub,
        lifetime: float,
        on_end: Callable[["_Stream"], None],
    ) -> None:
        self.takes_more = True
        self._sequences = SequenceStream(inference_pb2.GenerateCommands)
        self._stub = stub
        self._on_end = on_end
        self._following = asyncio.create_task(self._follow())
        self._aging = asyncio.get_running_loop().call_later(lifetime, self.retire)

    def __len__(self) -> int:
        return len(self._sequences)

    @contextmanager
    def running(self, request: inference_pb2.GenerateRequest, mailbox: Mailbox) -> Iterator[None]:
        """Have a request answered into a mailbox; leaving the block before its end cancels it."""
        request.sequence = number = self._sequences.number()
        try:
            with self._sequences.running(number, request, mailbox):
                yield
        finally:
            self._close_if_done()

    def retire(self) -> None:
        """Take no more answers."""
        self.takes_more = False
        self._close_if_done()

    async def close(self) -> None:
        """Cancel all that runs."""
        self._following.cancel()
        await asyncio.wait({self._following})

    def _close_if_done(self) -> None:
        if not self.takes_more and not len(self):
            self._sequences.close()

    async def _follow(self) -> None:
        error: PaddockError = Interrupted("a service has left; try again in a moment")
        try:
            await self._sequences.follow(self._stub.Run())
        except* grpc.aio.AioRpcError as failures:
            error = from_rpc_error(_first(failures))
        except* asyncio.InvalidStateError:  # the call ended just when something was sent
            pass
        finally:
            self.takes_more = False
            self._aging.cancel()
            self._sequences.fail(error)
            self._on_end(self)


def _first(failures: BaseExceptionGroup[grpc.aio.AioRpcError]) -> grpc.aio.AioRpcError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


@contextmanager
def _ended_after(timeout: float | None, mailbox: Mailbox, late: PaddockError) -> Iterator[None]:
    if timeout is None:
        yield
        return
    timer = asyncio.get_running_loop().call_later(timeout, mailbox.give_up, late)
    try:
        yield
    finally:
        timer.cancel()
