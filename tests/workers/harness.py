"""A worker service in this process, over fake engines, with a client."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from common.rpc import open_channel
from common.server import Server
from protos.paddock.v1 import generation_pb2, model_pb2, worker_pb2, worker_pb2_grpc
from tests.workers.fakes import FakeFactory, NoFiles
from workers.files import Files
from workers.models import Models
from workers.servicer import WorkerServicer

MINUTE = 60_000_000_000


def model(name: str = "a", weights: str = "", *capabilities: str) -> model_pb2.ModelSpec:
    return model_pb2.ModelSpec(
        name=name,
        digest=f"digest of {name}",
        weights=weights or f"weights of {name}",
        capabilities=capabilities or ("completion",),
    )


def completion(prompt: str, *, raw: bool = True, **options: object) -> generation_pb2.Generation:
    return generation_pb2.Generation(
        completion=generation_pb2.Completion(prompt=prompt, raw=raw),
        options=generation_pb2.Options(**options),  # type: ignore[arg-type]
    )


@dataclass
class Answer:
    text: str = ""
    thinking: str = ""
    updates: int = 0
    tokens: list[int] = field(default_factory=list)
    usage: generation_pb2.Usage | None = None
    completed: generation_pb2.Completed | None = None
    failure: generation_pb2.Failure | None = None


class Router:
    """A client's end of one Run stream."""

    def __init__(self, stub: worker_pb2_grpc.WorkerServiceStub) -> None:
        self._commands: asyncio.Queue[worker_pb2.RunCommands | None] = asyncio.Queue()
        self._call = stub.Run(self._requests())
        self.answers: dict[int, Answer] = {}
        self.messages = 0

    async def _requests(self) -> AsyncIterator[worker_pb2.RunCommands]:
        while command := await self._commands.get():
            yield command

    def start(
        self,
        number: int,
        spec: model_pb2.ModelSpec,
        generation: generation_pb2.Generation,
        keep_alive: int | None = None,
        tokens: Sequence[int] = (),
    ) -> None:
        start = worker_pb2.StartSequence(
            sequence=number, spec=spec, generation=generation, keep_alive=keep_alive, tokens=tokens
        )
        self.answers[number] = Answer()
        self._commands.put_nowait(worker_pb2.RunCommands(starts=[start]))

    def cancel(self, number: int) -> None:
        self._commands.put_nowait(worker_pb2.RunCommands(cancels=[number]))

    async def read(self) -> bool:
        """Take one message; False at the end of the stream."""
        response = await self._call.read()
        if not isinstance(response, worker_pb2.RunResponse):
            return False
        self.messages += 1
        texts = zip(response.sequences, response.contents, response.tokens, strict=True)
        for number, content, token in texts:
            answer = self.answers[number]
            answer.updates += 1
            answer.text += content
            answer.tokens.append(token)
        for update in response.updates:
            answer = self.answers[update.sequence]
            answer.updates += 1
            answer.text += update.delta.content
            answer.thinking += update.delta.thinking
            answer.tokens.extend(update.delta.tokens)
            if update.delta.HasField("usage"):
                answer.usage = update.delta.usage
            if update.HasField("completed"):
                answer.completed = update.completed
            if update.HasField("failure"):
                answer.failure = update.failure
        return True

    async def finish(self, *numbers: int) -> list[Answer]:
        """Read until these sequences have ended."""
        waited = [self.answers[number] for number in numbers or self.answers]
        while not all(answer.completed or answer.failure for answer in waited):
            assert await self.read(), "the stream ended early"
        return waited

    def end(self) -> None:
        """Send no more commands."""
        self._commands.put_nowait(None)

    def hang_up(self) -> None:
        self._call.cancel()


@dataclass
class Worker:
    """A running service and what is behind it."""

    stub: worker_pb2_grpc.WorkerServiceStub
    factory: FakeFactory
    models: Models
    servicer: WorkerServicer

    def router(self) -> Router:
        return Router(self.stub)

    async def ask(
        self,
        spec: model_pb2.ModelSpec,
        generation: generation_pb2.Generation,
        keep_alive: int | None = None,
    ) -> Answer:
        """Run one sequence on a stream of its own."""
        router = self.router()
        router.start(1, spec, generation, keep_alive)
        try:
            [answer] = await router.finish()
        finally:
            router.hang_up()
        return answer

    async def until(
        self, condition: Callable[[worker_pb2.WorkerStatus], bool]
    ) -> worker_pb2.WorkerStatus:
        """Watch the status until it is as wanted."""
        async with asyncio.timeout(10):
            call = self.stub.Watch(worker_pb2.WatchRequest())
            try:
                async for status in call:
                    if condition(status):
                        return status
            finally:
                call.cancel()
        raise AssertionError("the watch ended")


@asynccontextmanager
async def running_worker(
    folder: Path,
    factory: FakeFactory,
    *,
    budget: int = 1000,
    keep_alive: int = 5 * MINUTE,
    files: Files | None = None,
    max_engines: int = 0,
) -> AsyncIterator[Worker]:
    models = Models(factory, files or NoFiles(), budget, keep_alive, max_engines=max_engines)
    server = Server()
    servicer = WorkerServicer(models)
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(servicer, server.grpc)
    address = await server.start(f"unix:{folder}/worker.sock", "paddock.v1.WorkerService")
    expiry = asyncio.create_task(models.expire_for_ever())
    async with open_channel(address) as channel:
        yield Worker(worker_pb2_grpc.WorkerServiceStub(channel), factory, models, servicer)
    expiry.cancel()
    await server.stop(0)
    await models.aclose()


def names(status: worker_pb2.WorkerStatus) -> set[str]:
    return {found.spec.name for found in status.models}
