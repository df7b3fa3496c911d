"""WorkerService: the RPCs, each one call into the parts."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from common.outbox import Outbox
from common.run_stream import RunStream
from protos.paddock.v1 import generation_pb2, inference_pb2, worker_pb2, worker_pb2_grpc
from workers.embedding import embed
from workers.models import Models
from workers.prompt import show_prompt
from workers.sequence import Sequence
from workers.status import describe, worker_identity

_Context = grpc.aio.ServicerContext[Any, Any]

# Seconds between two messages at least: routers need no more.
_STATUS_INTERVAL = 0.05
_PROGRESS_INTERVAL = 0.1
# Seconds after which a status is sent again though nothing changed: see `Watch`.
_SIGN_OF_LIFE_INTERVAL = 5.0


class WorkerServicer(worker_pb2_grpc.WorkerServiceServicer):
    """The service over a worker's models."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._worker = worker_identity()
        self._streams: set[asyncio.Task[Any]] = set()
        self._finished = False

    async def Watch(
        self, request: worker_pb2.WatchRequest, context: _Context
    ) -> AsyncIterator[worker_pb2.WorkerStatus]:
        while not self._finished:
            changed = self._models.changes.next()
            yield describe(self._models, self._worker, time.time(), time.monotonic())
            await asyncio.sleep(_STATUS_INTERVAL)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), _SIGN_OF_LIFE_INTERVAL)

    async def Load(
        self, request: worker_pb2.LoadModelRequest, context: _Context
    ) -> AsyncIterator[worker_pb2.LoadProgress]:
        loading = asyncio.create_task(self._load(request))
        told = worker_pb2.LoadProgress()
        try:
            while not loading.done():
                resident = self._models.residents.get(request.spec.digest)
                slot = self._models.engines.get(resident.engine) if resident else None
                if slot and slot.progress() != told:
                    told = slot.progress()
                    yield told
                await asyncio.wait({loading}, timeout=_PROGRESS_INTERVAL)
        finally:
            loading.cancel()
        await loading
        size = sum(file.size for file in request.spec.files)
        yield worker_pb2.LoadProgress(phase="ready", completed=size, total=size)

    async def _load(self, request: worker_pb2.LoadModelRequest) -> None:
        keep_alive = request.keep_alive if request.HasField("keep_alive") else None
        async with self._models.use(request.spec, keep_alive):
            pass

    async def Unload(
        self, request: worker_pb2.UnloadModelRequest, context: _Context
    ) -> worker_pb2.UnloadModelResponse:
        return worker_pb2.UnloadModelResponse(was_loaded=await self._models.unload(request.digest))

    async def Render(
        self, request: worker_pb2.RenderSequenceRequest, context: _Context
    ) -> generation_pb2.RenderedPrompt:
        keep_alive = request.keep_alive if request.HasField("keep_alive") else None
        async with self._models.use(request.spec, keep_alive) as ready:
            return await show_prompt(ready, request.spec, request.generation)

    async def Embed(
        self, request: worker_pb2.EmbedSequencesRequest, context: _Context
    ) -> inference_pb2.EmbedResponse:
        return await embed(self._models, request)

    async def Run(
        self, request_iterator: AsyncIterator[worker_pb2.RunCommands], context: _Context
    ) -> AsyncIterator[worker_pb2.RunResponse]:
        models = self._models

        async def run(start: worker_pb2.StartSequence, outbox: Outbox) -> None:
            await Sequence(start, outbox).run(models)

        responses = RunStream(run, models.drained).responses(request_iterator)
        if call := asyncio.current_task():
            self._streams.add(call)
            call.add_done_callback(self._streams.discard)
        async with aclosing(responses):
            async for response in responses:
                yield response

    async def finish(self, seconds: float) -> None:
        """Wait, no longer than some seconds, until routers have read the last updates.

        Then nobody has anything to watch any more.
        """
        if self._streams:
            await asyncio.wait(self._streams, timeout=seconds)
        self._finished = True
        self._models.changes.announce()
