"""One worker as seen by a router: its status, and the stream that carries all sequences."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress

import grpc

from common.errors import Interrupted, PaddockError, WorkerLost
from common.rpc import from_rpc_error, is_cut_off, open_channel
from common.sequence_stream import SequenceStream
from protos.paddock.v1 import generation_pb2, inference_pb2, model_pb2, worker_pb2, worker_pb2_grpc
from services.inference.placement import Wanted, wanted_by
from services.inference.sequence import Sequence, Taker

logger = logging.getLogger(__name__)

_RECONNECT_DELAY = 0.2  # seconds
# Seconds. A worker says something every 5, but may be held up while it imports its engine.
_LONGEST_SILENCE = 30.0
# Seconds after which who does not answer is called anew: so its name is looked up again.
_CALL_AGAIN = 5.0


class WorkerClient:
    """Watches a worker for as long as it lives and again when it comes back.

    `status` is None while the worker cannot be reached; whatever it was asked for has then
    failed, with `WorkerLost` or, where it was leaving, `Interrupted`. `in_flight` counts this
    router's requests that it has not done with, by what they need.
    """

    def __init__(
        self,
        address: str,
        on_change: Callable[[], None],
        silence: float = _LONGEST_SILENCE,
        call_again: float = _CALL_AGAIN,
    ) -> None:
        self.address = address
        self._silence = silence
        self._call_again = call_again
        self.status: worker_pb2.WorkerStatus | None = None
        self._on_change = on_change
        self._channel = open_channel(address, retry=False)
        self._stub = worker_pb2_grpc.WorkerServiceStub(self._channel)
        self._leaves = False
        self._calls: set[grpc.aio.Call] = set()
        self._sequences = SequenceStream(worker_pb2.RunCommands)
        self.in_flight: Counter[Wanted] = Counter()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def run(self, start: worker_pb2.StartSequence, taker: Taker) -> generation_pb2.Completed:
        """Run a sequence; cancelling this cancels it on the worker.

        `taker` gets what comes of it before the end, each time before anything else happens.

        Raises:
            Interrupted: the worker has just been lost.
            PaddockError: the sequence failed.
        """
        if self.status is None:
            raise Interrupted("a worker is not available; try again in a moment")
        start.sequence = number = self._sequences.number()
        sequence = Sequence(taker)
        with self._counted(start.spec), self._sequences.running(number, start, sequence):
            return await sequence.end

    async def load(self, request: worker_pb2.LoadModelRequest) -> None:
        """Load a model and wait until it is ready."""
        call = self._stub.Load(request)
        with self._counted(request.spec), self._calling(call):
            async for _ in call:
                pass

    async def unload(self, digest: str) -> None:
        """Unload a model once what runs on it has ended; a worker that is lost holds none."""
        call = self._stub.Unload(worker_pb2.UnloadModelRequest(digest=digest))
        with suppress(WorkerLost, Interrupted), self._calling(call):
            await call

    async def render(
        self, request: worker_pb2.RenderSequenceRequest
    ) -> generation_pb2.RenderedPrompt:
        """Make a request's prompt; the model is loaded first where it is not."""
        call = self._stub.Render(request)
        with self._counted(request.spec), self._calling(call):
            return await call

    async def embed(self, request: worker_pb2.EmbedSequencesRequest) -> inference_pb2.EmbedResponse:
        """Embed texts with a model, which is loaded first where it is not."""
        call = self._stub.Embed(request)
        with self._counted(request.spec), self._calling(call):
            return await call

    async def follow(self) -> None:
        """Watch the worker, however often it comes and goes, until cancelled."""
        while True:
            # A task of its own: where a cancellation meets a loss, a task group tells of the loss.
            connection = asyncio.create_task(self._connect())
            try:
                await asyncio.wait({connection})
            finally:
                connection.cancel()
                await asyncio.wait({connection})
            connection.result()
            await asyncio.sleep(_RECONNECT_DELAY)

    async def _connect(self) -> None:
        """Watch the worker until it is lost."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                group.create_task(self._run())
        except* (grpc.aio.AioRpcError, asyncio.InvalidStateError) as group_error:
            if self.status is not None:
                logger.warning("lost worker %s: %s", self.address, _reason(group_error))
        finally:
            self._lose()

    @contextmanager
    def _calling(self, call: grpc.aio.Call) -> Iterator[None]:
        """Wait for a call within the block; it ends when the worker is lost.

        Raises:
            WorkerLost: the worker was lost, and this may be why.
            Interrupted: it has left.
            PaddockError: it ended the call itself.
        """
        self._calls.add(call)
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise self._loss() if is_cut_off(error) else from_rpc_error(error) from error
        except asyncio.CancelledError:
            if _is_canceled():
                raise
            raise self._loss() from None  # the call was canceled, and not its caller
        finally:
            self._calls.discard(call)

    @contextmanager
    def _counted(self, spec: model_pb2.ModelSpec) -> Iterator[None]:
        wanted = wanted_by(spec)
        self.in_flight[wanted] += 1
        try:
            yield
        finally:
            self.in_flight[wanted] -= 1
            self.in_flight += Counter()  # drops what has come to nothing

    async def _watch(self) -> None:
        watch = self._stub.Watch(worker_pb2.WatchRequest(), wait_for_ready=True)
        statuses = aiter(watch)
        while (status := await self._next_status(statuses)) is not None:
            if self.status is None:
                logger.info("found worker %s (%s)", self.address, status.worker)
            self.status = status
            self._leaves = status.draining
            self._on_change()
        raise _ended("the worker ended the stream")

    async def _next_status(
        self, statuses: AsyncIterator[worker_pb2.WorkerStatus]
    ) -> worker_pb2.WorkerStatus | None:
        patience = self._call_again if self.status is None else self._silence
        try:
            async with asyncio.timeout(patience):
                return await anext(statuses, None)
        except TimeoutError:
            raise _ended(f"no sign of life for {patience:g} s") from None

    async def _run(self) -> None:
        await self._sequences.follow(self._stub.Run(wait_for_ready=True))
        raise _ended("the worker ended the stream")

    def _lose(self) -> None:
        self.status = None
        for call in self._calls:
            call.cancel()
        self._sequences.fail(self._loss())
        self._on_change()

    def _loss(self) -> PaddockError:
        return Interrupted("the worker has left") if self._leaves else WorkerLost()


def _ended(details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(),
        details=details,
    )


def _is_canceled() -> bool:
    """Tell whether the task that runs has been asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _reason(group: BaseException) -> str:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group.details() or "" if isinstance(group, grpc.aio.AioRpcError) else str(group)
