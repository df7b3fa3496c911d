"""One worker as seen by a router: its status, and the stream that carries all sequences."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count

import grpc

from common.errors import Interrupted, PaddockError, WorkerLost
from common.rpc import open_channel, rpc_errors
from protos.paddock.v1 import generation_pb2, inference_pb2, model_pb2, worker_pb2, worker_pb2_grpc
from services.inference.placement import Wanted, wanted_by
from services.inference.sequence import Sequence

logger = logging.getLogger(__name__)

_RECONNECT_DELAY = 0.2  # seconds
# Seconds. A worker says something every 5, but may be held up while it imports its engine.
_LONGEST_SILENCE = 30.0


class WorkerClient:
    """Watches a worker for as long as it lives and again when it comes back.

    `status` is None while the worker cannot be reached; whatever ran on it then has
    failed with `WorkerLost`. `in_flight` counts this router's requests by what they need.
    """

    def __init__(
        self, address: str, on_change: Callable[[], None], silence: float = _LONGEST_SILENCE
    ) -> None:
        self.address = address
        self._silence = silence
        self.status: worker_pb2.WorkerStatus | None = None
        self._on_change = on_change
        self._channel = open_channel(address, retry=False)
        self._stub = worker_pb2_grpc.WorkerServiceStub(self._channel)
        self._sequences: dict[int, Sequence] = {}
        self._numbers = count(1)
        self._commands: asyncio.Queue[worker_pb2.RunRequest] = asyncio.Queue()
        self.in_flight: Counter[Wanted] = Counter()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._channel.close()

    @asynccontextmanager
    async def sequence(self, start: worker_pb2.StartSequence) -> AsyncIterator[Sequence]:
        """Run a sequence; leaving the block before its end cancels it on the worker.

        Raises:
            Interrupted: the worker has just been lost.
        """
        if self.status is None:
            raise Interrupted("a worker is not available; try again in a moment")
        sequence = Sequence(next(self._numbers))
        start.sequence = sequence.number
        self._sequences[sequence.number] = sequence
        self._commands.put_nowait(worker_pb2.RunRequest(start=start))
        try:
            with self._counted(start.spec):
                yield sequence
        finally:
            if self._sequences.pop(sequence.number, None) and not sequence.ended:
                cancel = worker_pb2.CancelSequence(sequence=sequence.number)
                self._commands.put_nowait(worker_pb2.RunRequest(cancel=cancel))

    async def load(self, request: worker_pb2.LoadModelRequest) -> None:
        """Load a model and wait until it is ready."""
        with rpc_errors(), self._counted(request.spec):
            async for _ in self._stub.Load(request):
                pass

    async def unload(self, digest: str) -> None:
        """Unload a model once what runs on it has ended."""
        with rpc_errors():
            await self._stub.Unload(worker_pb2.UnloadModelRequest(digest=digest))

    async def render(
        self, request: worker_pb2.RenderSequenceRequest
    ) -> generation_pb2.RenderedPrompt:
        """Make a request's prompt; the model is loaded first where it is not."""
        with rpc_errors(), self._counted(request.spec):
            return await self._stub.Render(request)

    async def embed(self, request: worker_pb2.EmbedSequencesRequest) -> inference_pb2.EmbedResponse:
        """Embed texts with a model, which is loaded first where it is not."""
        with rpc_errors(), self._counted(request.spec):
            return await self._stub.Embed(request)

    async def follow(self) -> None:
        """Watch the worker, however often it comes and goes, until cancelled."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._watch())
                    group.create_task(self._run())
            except* (grpc.aio.AioRpcError, asyncio.InvalidStateError) as group_error:
                if self.status is not None:
                    logger.warning("lost worker %s: %s", self.address, _reason(group_error))
            finally:
                self._lose()
            await asyncio.sleep(_RECONNECT_DELAY)

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
            self._on_change()
        raise _ended("the worker ended the stream")

    async def _next_status(
        self, statuses: AsyncIterator[worker_pb2.WorkerStatus]
    ) -> worker_pb2.WorkerStatus | None:
        try:
            async with asyncio.timeout(None if self.status is None else self._silence):
                return await anext(statuses, None)
        except TimeoutError:
            raise _ended(f"no sign of life for {self._silence:g} s") from None

    async def _run(self) -> None:
        call = self._stub.Run(wait_for_ready=True)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send(call))
                async for response in call:
                    for update in response.updates:
                        if sequence := self._sequences.get(update.sequence):
                            sequence.deliver(update)
                raise _ended("the worker ended the stream")
        finally:
            call.cancel()

    async def _send(
        self, call: "grpc.aio.StreamStreamCall[worker_pb2.RunRequest, worker_pb2.RunResponse]"
    ) -> None:
        while True:
            await call.write(await self._commands.get())

    def _lose(self) -> None:
        self.status = None
        while not self._commands.empty():
            self._commands.get_nowait()
        error: PaddockError = WorkerLost()
        for sequence in self._sequences.values():
            sequence.fail(error)
        self._on_change()


def _ended(details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(),
        details=details,
    )


def _reason(group: BaseException) -> str:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group.details() or "" if isinstance(group, grpc.aio.AioRpcError) else str(group)
