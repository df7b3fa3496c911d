"""A request's way: resolve, admit, place, run; and again elsewhere when a worker dies."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from common.errors import PaddockError
from common.options import merge_options
from common.rpc import rpc_errors
from protos.paddock.v1 import (
    generation_pb2,
    inference_pb2,
    model_pb2,
    registry_pb2,
    registry_pb2_grpc,
    worker_pb2,
)
from services.inference.admission import Admission
from services.inference.attempts import Attempts
from services.inference.capabilities import require, require_generation
from services.inference.fleet import Fleet
from services.inference.merge import merge
from services.inference.placement import slots, wanted_by
from services.inference.sequence import Event
from services.inference.worker_client import WorkerClient

T = TypeVar("T")


class Router:
    """Serves each request with some worker of the fleet."""

    def __init__(
        self,
        registry: registry_pb2_grpc.RegistryServiceStub,
        fleet: Fleet,
        admission: Admission,
        load_timeout: float,
    ) -> None:
        self._registry = registry
        self._fleet = fleet
        self._admission = admission
        self._load_timeout = load_timeout

    async def generate(self, request: inference_pb2.GenerateRequest) -> AsyncGenerator[Event, None]:
        """Stream what the model answers, and at last how it ended.

        Raises:
            PaddockError: before the first event or between two.
        """
        arrived = time.monotonic_ns()
        spec, generation = await self._prepare(request)
        start = worker_pb2.StartSequence(spec=spec, generation=generation)
        if request.HasField("keep_alive"):
            start.keep_alive = request.keep_alive
        with self._admission.admit(spec.weights, self._slots(spec)):
            async with aclosing(self._run(start)) as events:
                async for event in events:
                    if isinstance(event, generation_pb2.Completed):
                        event.usage.total_duration = time.monotonic_ns() - arrived
                    yield event

    async def render(self, request: inference_pb2.GenerateRequest) -> generation_pb2.RenderedPrompt:
        """Make the prompt that the model would get."""
        spec, generation = await self._prepare(request)
        asked = worker_pb2.RenderSequenceRequest(spec=spec, generation=generation)
        if request.HasField("keep_alive"):
            asked.keep_alive = request.keep_alive
        return await self._attempt(spec, lambda worker: worker.render(asked))

    async def embed(self, request: inference_pb2.EmbedRequest) -> inference_pb2.EmbedResponse:
        """Embed texts."""
        arrived = time.monotonic_ns()
        model = await self._resolve(request.model)
        require(model, request.model, "embedding", "embeddings")
        request.options.CopyFrom(merge_options(model.parameters, request.options))
        asked = worker_pb2.EmbedSequencesRequest(spec=model.spec, request=request)
        with self._admission.admit(model.spec.weights, self._slots(model.spec)):
            response = await self._attempt(model.spec, lambda worker: worker.embed(asked))
        response.usage.total_duration = time.monotonic_ns() - arrived
        return response

    async def load(self, request: inference_pb2.LoadRequest) -> int:
        """Make a model ready on some worker; give the nanoseconds that took."""
        arrived = time.monotonic_ns()
        model = await self._resolve(request.model)
        if request.HasField("generation"):
            require_generation(model, request.model, request.generation)
        asked = worker_pb2.LoadModelRequest(spec=model.spec)
        if request.HasField("keep_alive"):
            asked.keep_alive = request.keep_alive
        await self._attempt(model.spec, lambda worker: worker.load(asked))
        return time.monotonic_ns() - arrived

    async def unload(self, request: inference_pb2.UnloadRequest) -> None:
        """Free a model on every worker that holds it, or what had its name before."""
        model = await self._resolve(request.model)
        digests = {model.spec.digest} | {
            held.spec.digest
            for candidate in self._fleet.candidates()
            for held in candidate.status.models
            if held.spec.name == model.spec.name
        }
        await asyncio.gather(
            *(worker.unload(digest) for worker in self._fleet.reachable() for digest in digests)
        )

    async def _prepare(
        self, request: inference_pb2.GenerateRequest
    ) -> tuple[model_pb2.ModelSpec, generation_pb2.Generation]:
        model = await self._resolve(request.model)
        require_generation(model, request.model, request.generation)
        return model.spec, merge(model, request.generation)

    async def _resolve(self, model: str) -> registry_pb2.ResolvedModel:
        with rpc_errors():
            return await self._registry.Resolve(registry_pb2.ResolveRequest(model=model))

    def _slots(self, spec: model_pb2.ModelSpec) -> int:
        return slots(self._fleet.candidates(), spec.weights)

    async def _run(self, start: worker_pb2.StartSequence) -> AsyncGenerator[Event, None]:
        attempts = Attempts(self._fleet, wanted_by(start.spec), self._load_timeout)
        while True:
            worker = await attempts.next_worker()
            begun = False
            try:
                async with worker.sequence(start) as sequence:
                    while True:
                        event = await sequence.receive()
                        begun = True
                        yield event
                        if isinstance(event, generation_pb2.Completed):
                            return
            except PaddockError as error:
                if begun:
                    raise
                attempts.failed(worker, error)

    async def _attempt(
        self, spec: model_pb2.ModelSpec, operation: Callable[[WorkerClient], Awaitable[T]]
    ) -> T:
        attempts = Attempts(self._fleet, wanted_by(spec), self._load_timeout)
        while True:
            worker = await attempts.next_worker()
            try:
                return await operation(worker)
            except PaddockError as error:
                attempts.failed(worker, error)
