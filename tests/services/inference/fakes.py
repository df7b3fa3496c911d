"""A registry and workers for the router's tests: real gRPC servers, deterministic answers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from common.changes import Changes
from common.errors import (
    Interrupted,
    LoadFailed,
    ModelNotFound,
    NoRoom,
    OutOfMemory,
    PaddockError,
)
from common.server import Server
from protos.paddock.v1 import (
    generation_pb2,
    inference_pb2,
    model_pb2,
    registry_pb2,
    registry_pb2_grpc,
    worker_pb2,
    worker_pb2_grpc,
)


def resolved(name: str = "demo", **fields: Any) -> registry_pb2.ResolvedModel:
    """Describe a chat model whose weights are named after it."""
    spec = model_pb2.ModelSpec(
        name=f"{name}:latest", digest=f"d-{name}", weights=name, capabilities=["completion"]
    )
    return registry_pb2.ResolvedModel(spec=spec, **fields)


class FakeRegistry(registry_pb2_grpc.RegistryServiceServicer):
    """Resolves the models it was given."""

    def __init__(self, **models: registry_pb2.ResolvedModel) -> None:
        self.models = models
        self.stalls = False
        """It takes questions and never answers."""
        self.asked = 0

    async def Resolve(
        self, request: registry_pb2.ResolveRequest, context: Any
    ) -> registry_pb2.ResolvedModel:
        self.asked += 1
        if self.stalls:
            await asyncio.Event().wait()
        if request.model not in self.models:
            raise ModelNotFound(f"model '{request.model}' not found")
        return self.models[request.model]


class FakeWorker(worker_pb2_grpc.WorkerServiceServicer):
    """Answers each prompt with its words, one a step; holds `room` models at once."""

    def __init__(self, name: str, room: int = 1) -> None:
        self.name = name
        self.room = room
        self.step = 0.001
        self.load_time = 0.0
        self.refuse_to_load = False
        self.leaves = False
        """It serves no embeddings any more."""
        self.breaks = 0
        """So many embeddings break the connection; each counts down."""
        self.leaves_after: list[tuple[int, PaddockError]] = []
        """After so many words of an answer it fails with an error, each entry once."""
        self.models: dict[str, worker_pb2.WorkerModel] = {}
        self.running: set[asyncio.Task[None]] = set()
        self.canceled: list[int] = []
        self.started: list[worker_pb2.StartSequence] = []
        self.rendered: list[worker_pb2.RenderSequenceRequest] = []
        self.embedded: list[inference_pb2.EmbedRequest] = []
        self._changes = Changes()
        self._server = Server()

    async def start(self, address: str) -> None:
        self._server = Server()
        worker_pb2_grpc.add_WorkerServiceServicer_to_server(self, self._server.grpc)
        await self._server.start(address)

    async def die(self) -> None:
        """End at once, as a killed process does."""
        await self._server.stop(0)
        self.models.clear()

    async def Watch(
        self, request: worker_pb2.WatchRequest, context: Any
    ) -> AsyncIterator[worker_pb2.WorkerStatus]:
        while True:
            changed = self._changes.next()
            yield worker_pb2.WorkerStatus(
                worker=self.name,
                memory_budget=self.room,
                memory_used=len(self.models),
                models=self.models.values(),
            )
            await changed.wait()

    async def Run(
        self, request_iterator: AsyncIterator[worker_pb2.RunCommands], context: Any
    ) -> AsyncIterator[worker_pb2.RunResponse]:
        outbox: asyncio.Queue[worker_pb2.SequenceUpdate] = asyncio.Queue()
        tasks: dict[int, asyncio.Task[None]] = {}

        async def receive() -> None:
            async for commands in request_iterator:
                for start in commands.starts:
                    self.started.append(start)
                    task = asyncio.create_task(self._answer(start, outbox))
                    tasks[start.sequence] = task
                    self.running.add(task)
                    task.add_done_callback(self.running.discard)
                for number in commands.cancels:
                    tasks[number].cancel()
                    self.canceled.append(number)

        receiver = asyncio.create_task(receive())
        try:
            while True:
                yield worker_pb2.RunResponse(updates=[await outbox.get()])
        finally:
            for task in (receiver, *tasks.values()):
                task.cancel()

    async def _answer(
        self,
        start: worker_pb2.StartSequence,
        outbox: "asyncio.Queue[worker_pb2.SequenceUpdate]",
    ) -> None:
        number = start.sequence
        try:
            await self.load(start.spec)
        except (OutOfMemory, LoadFailed) as error:
            failure = generation_pb2.Failure(reason=error.reason(), message=error.message)
            outbox.put_nowait(worker_pb2.SequenceUpdate(sequence=number, failure=failure))
            return
        words = start.generation.chat.messages[-1].content.split()
        left, reason = self.leaves_after.pop(0) if self.leaves_after else (None, None)
        for position, word in enumerate(words):
            if position == left and reason:
                failure = generation_pb2.Failure(reason=reason.reason(), message=reason.message)
                outbox.put_nowait(worker_pb2.SequenceUpdate(sequence=number, failure=failure))
                return
            if position >= len(start.tokens):
                await asyncio.sleep(self.step)
            delta = generation_pb2.Delta(content=f"{word} ", tokens=[position])
            if not position:
                delta.usage.prompt_tokens = 3
                delta.usage.prompt_duration = 1 + len(start.tokens)
            outbox.put_nowait(worker_pb2.SequenceUpdate(sequence=number, delta=delta))
        completed = generation_pb2.Completed(
            reason=generation_pb2.FINISH_REASON_STOP,
            usage=generation_pb2.Usage(completion_tokens=len(words)),
        )
        outbox.put_nowait(worker_pb2.SequenceUpdate(sequence=number, completed=completed))

    async def load(self, spec: model_pb2.ModelSpec) -> None:
        if self.load_time and spec.weights not in self.models:
            await asyncio.sleep(self.load_time)
        if self.refuse_to_load:
            raise LoadFailed("no such architecture")
        if spec.weights not in self.models and len(self.models) >= self.room:
            raise NoRoom(f"{self.name} is full")
        if spec.weights == "huge":
            raise OutOfMemory("too large")
        self.models[spec.weights] = worker_pb2.WorkerModel(
            spec=spec, state=worker_pb2.WorkerModel.STATE_READY, max_sequences=2, memory=1
        )
        await self.announce()

    async def announce(self) -> None:
        self._changes.announce()

    async def Load(
        self, request: worker_pb2.LoadModelRequest, context: Any
    ) -> AsyncIterator[worker_pb2.LoadProgress]:
        await self.load(request.spec)
        yield worker_pb2.LoadProgress(phase="ready")

    async def Unload(
        self, request: worker_pb2.UnloadModelRequest, context: Any
    ) -> worker_pb2.UnloadModelResponse:
        held = [key for key, model in self.models.items() if model.spec.digest == request.digest]
        for key in held:
            del self.models[key]
        await self.announce()
        return worker_pb2.UnloadModelResponse(was_loaded=bool(held))

    async def Render(
        self, request: worker_pb2.RenderSequenceRequest, context: Any
    ) -> generation_pb2.RenderedPrompt:
        self.rendered.append(request)
        return generation_pb2.RenderedPrompt(text=request.generation.completion.prompt)

    async def Embed(
        self, request: worker_pb2.EmbedSequencesRequest, context: Any
    ) -> inference_pb2.EmbedResponse:
        if self.leaves:
            raise Interrupted("the worker is shutting down")
        if self.breaks:
            self.breaks -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "as gRPC says it of a lost peer")
        self.embedded.append(request.request)
        vectors = [
            inference_pb2.Embedding(values=[float(len(text))]) for text in request.request.inputs
        ]
        return inference_pb2.EmbedResponse(embeddings=vectors)


def unix_address(folder: Path, name: str) -> str:
    return f"unix:{folder}/{name}"
