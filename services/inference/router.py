"""A request's way: resolve, admit, place, run; and go on elsewhere when a worker is lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from common.continuation import Continuation
from common.errors import PaddockError
from common.options import merge_options
from protos.paddock.v1 import (
    generation_pb2,
    inference_pb2,
    model_pb2,
    registry_pb2,
    worker_pb2,
)
from services.inference.admission import Admission
from services.inference.affinity import Prefix, prefix_of
from services.inference.attempts import Attempts
from services.inference.capabilities import require, require_generation
from services.inference.fleet import Fleet
from services.inference.head_start import answer_ahead
from services.inference.merge import merge
from services.inference.placement import replicas_of, wanted_by
from services.inference.resolver import Resolver
from services.inference.sequence import Taker
from services.inference.worker_client import WorkerClient

T = TypeVar("T")
Work = worker_pb2.StartSequence | worker_pb2.RenderSequenceRequest | worker_pb2.LoadModelRequest


@dataclass(frozen=True)
class _Answer:
    """An answer on its way, by one worker after another where the first are lost."""

    start: worker_pb2.StartSequence
    keep_alive: int | None
    prefix: Prefix
    continuation: Continuation
    taker: Taker

    def take_text(self, content: str, token: int) -> None:
        """Pass on a token and its content, unless that is told again."""
        if self.continuation.take_text(content, token):
            self.taker.take_text(content, token)
        else:
            self.take(generation_pb2.Delta(content=content, tokens=[token]))

    def take(self, delta: generation_pb2.Delta) -> None:
        """Pass on what is new of a delta."""
        if fresh := self.continuation.take(delta):
            self.taker.take(fresh)


class Router:
    """Serves each request with some worker of the fleet."""

    def __init__(
        self, resolver: Resolver, fleet: Fleet, admission: Admission, load_timeout: float
    ) -> None:
        self._resolver = resolver
        self._fleet = fleet
        self._admission = admission
        self._load_timeout = load_timeout
        self.moved = 0
        """Answers that another worker went on with, each as often as that happened."""

    async def generate(
        self, request: inference_pb2.GenerateRequest, taker: Taker
    ) -> generation_pb2.Completed:
        """Answer; `taker` gets what comes of it before the end.

        A worker that is lost in the middle costs a pause: another one goes on with the answer.

        Raises:
            PaddockError: before the first delta or between two.
        """
        answer = partial(self._answer, request, time.monotonic_ns())
        resolve = self._resolver.resolve(request.model)
        # What keeps a model longer, or not at all, has to be meant for it.
        guess = None if request.HasField("keep_alive") else self._guess(request.model)
        if guess:
            return await answer_ahead(guess, resolve, answer, taker)
        return await answer(await resolve, taker)

    def _guess(self, name: str) -> registry_pb2.ResolvedModel | None:
        """Give what a name stood for a moment ago, if that is loaded."""
        known = self._resolver.expired(name)
        if known and replicas_of(self._fleet.candidates(), wanted_by(known.spec)):
            return known
        return None

    async def _answer(
        self,
        request: inference_pb2.GenerateRequest,
        arrived: int,
        model: registry_pb2.ResolvedModel,
        taker: Taker,
    ) -> generation_pb2.Completed:
        begun = request.resumption if request.HasField("resumption") else None
        continuation = Continuation(begun, arrived=arrived)
        require_generation(model, request.model, request.generation)
        prefix = prefix_of(model.spec, request.generation)
        start = worker_pb2.StartSequence(
            spec=model.spec, generation=merge(model, request.generation)
        )
        keep_alive = request.keep_alive if request.HasField("keep_alive") else None
        answer = _Answer(start, keep_alive, prefix, continuation, taker)
        spec = model.spec
        async with self._admission.admit(spec.weights, request.client, spec.name):
            completed = await self._run(answer)
        continuation.complete(completed.usage)
        return completed

    async def render(self, request: inference_pb2.GenerateRequest) -> generation_pb2.RenderedPrompt:
        """Make the prompt that the model would get."""
        model = await self._resolver.resolve(request.model)
        require_generation(model, request.model, request.generation)
        asked = worker_pb2.RenderSequenceRequest(
            spec=model.spec, generation=merge(model, request.generation)
        )
        keep_alive = request.keep_alive if request.HasField("keep_alive") else None

        def render(worker: WorkerClient) -> Awaitable[generation_pb2.RenderedPrompt]:
            self._keep(asked, keep_alive, worker)
            return worker.render(asked)

        return await self._attempt(model.spec, render)

    async def embed(self, request: inference_pb2.EmbedRequest) -> inference_pb2.EmbedResponse:
        """Embed texts."""
        arrived = time.monotonic_ns()
        model = await self._resolver.resolve(request.model)
        require(model, request.model, "embedding", "embeddings")
        request.options.CopyFrom(merge_options(model.parameters, request.options))
        asked = worker_pb2.EmbedSequencesRequest(spec=model.spec, request=request)
        spec = model.spec
        async with self._admission.admit(spec.weights, request.client, spec.name):
            response = await self._attempt(spec, lambda worker: worker.embed(asked))
        response.usage.total_duration = time.monotonic_ns() - arrived
        return response

    async def load(self, request: inference_pb2.LoadRequest) -> int:
        """Make a model ready on some worker; give the nanoseconds that took."""
        arrived = time.monotonic_ns()
        model = await self._resolver.resolve(request.model)
        if request.HasField("generation"):
            require_generation(model, request.model, request.generation)
        asked = worker_pb2.LoadModelRequest(spec=model.spec)
        keep_alive = request.keep_alive if request.HasField("keep_alive") else None

        def load(worker: WorkerClient) -> Awaitable[None]:
            self._keep(asked, keep_alive, worker)
            return worker.load(asked)

        await self._attempt(model.spec, load)
        return time.monotonic_ns() - arrived

    async def unload(self, request: inference_pb2.UnloadRequest) -> None:
        """Free a model on every worker that holds it, or what had its name before."""
        model = await self._resolver.resolve(request.model)
        digests = {model.spec.digest} | {
            held.spec.digest
            for candidate in self._fleet.candidates()
            for held in candidate.status.models
            if held.spec.name == model.spec.name
        }
        await asyncio.gather(
            *(worker.unload(digest) for worker in self._fleet.reachable() for digest in digests)
        )

    async def _run(self, answer: _Answer) -> generation_pb2.Completed:
        start, continuation = answer.start, answer.continuation
        attempts = Attempts(self._fleet, wanted_by(start.spec), self._load_timeout, answer.prefix)
        while True:
            worker = await attempts.next_worker()
            self._keep(start, answer.keep_alive, worker)
            start.tokens[:] = continuation.tokens
            began = time.monotonic()
            try:
                completed = await worker.run(start, answer)
            except PaddockError as error:
                attempts.failed(worker, error, len(continuation.tokens))
                self.moved += bool(continuation.tokens)
                continuation.restart()
            else:
                seconds = time.monotonic() - began
                self._fleet.served(answer.prefix, worker.address, seconds, completed.context)
                return completed

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

    def _keep(self, work: Work, keep_alive: int | None, worker: WorkerClient) -> None:
        """Say how long a worker is to keep the model."""
        wanted = wanted_by(work.spec)
        asked = self._fleet.keep_alive(wanted, worker.address, keep_alive)
        if asked is None:
            work.ClearField("keep_alive")
        else:
            work.keep_alive = asked
