"""Whole Inference services, several side by side over the same workers, and a caller of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from common.continuation import Continuation
from common.errors import Interrupted
from common.rpc import open_channel
from common.server import Server
from protos.paddock.v1 import generation_pb2, inference_pb2, inference_pb2_grpc, registry_pb2_grpc
from services.inference.__main__ import serve
from services.inference.settings import InferenceSettings
from tests.services.inference.answers import answers
from tests.services.inference.fakes import FakeRegistry, FakeWorker, resolved, unix_address


class Service:
    """One Inference service that runs in this process."""

    def __init__(self, address: str, settings: InferenceSettings) -> None:
        self.address = address
        self.stop = asyncio.Event()
        self.serving = asyncio.create_task(serve(settings, self.stop))
        self.channel = open_channel(address, retry=False)
        self.stub = inference_pb2_grpc.InferenceServiceStub(self.channel)

    async def ready(self) -> None:
        """Wait until it takes calls."""
        await asyncio.wait_for(self.channel.channel_ready(), 5)

    async def ask(self, request: inference_pb2.GenerateRequest) -> str:
        """Have a request answered by this router alone."""
        return "".join(
            [
                event.content
                async for event in answers(self.stub, request)
                if isinstance(event, generation_pb2.Delta)
            ]
        )

    async def close(self) -> None:
        """End it and what runs."""
        await self.channel.close()
        self.stop.set()
        await self.serving


class Site:
    """A registry, workers and routers below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[FakeWorker] = []
        self.services: list[Service] = []
        self.registry = FakeRegistry(one=resolved("one"))  # type: ignore[abstract]
        self._server = Server()

    async def start(self, workers: int, routers: int, **settings: object) -> None:
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(self.registry, self._server.grpc)
        await self._server.start(unix_address(self.folder, "registry"))
        self.workers = [FakeWorker(f"w{number}") for number in range(workers)]
        for worker in self.workers:
            await worker.start(self.address(worker))
        for number in range(routers):
            address = unix_address(self.folder, f"router{number}")
            chosen = InferenceSettings(
                listen=address,
                registry=unix_address(self.folder, "registry"),
                worker_addresses=",".join(map(self.address, self.workers)),
                **settings,  # type: ignore[arg-type]
            )
            self.services.append(Service(address, chosen))
        for service in self.services:
            await service.ready()

    async def stop(self) -> None:
        for service in self.services:
            await service.close()
        for worker in self.workers:
            await worker.die()
        await self._server.stop(0)

    def address(self, worker: FakeWorker) -> str:
        return unix_address(self.folder, worker.name)

    @property
    def started(self) -> int:
        """Sequences that any worker was asked for."""
        return sum(len(worker.started) for worker in self.workers)

    async def ask(self, asked: inference_pb2.GenerateRequest, first: int = 0) -> str:
        """Have a request answered as a gateway does: by another router where one is lost."""
        request = inference_pb2.GenerateRequest()
        request.CopyFrom(asked)
        continuation, text, router = Continuation(), "", first
        while True:
            stub = self.services[router % len(self.services)].stub
            try:
                async for event in answers(stub, request):
                    if isinstance(event, generation_pb2.Completed):
                        return text
                    if fresh := continuation.take(event):
                        text += fresh.content
            except Interrupted:
                request.resumption.CopyFrom(continuation.resumption())
                continuation.restart()
                router += 1
                await asyncio.sleep(0.05)


@asynccontextmanager
async def site(
    folder: Path, workers: int = 2, routers: int = 1, **settings: object
) -> AsyncIterator[Site]:
    made = Site(folder)
    try:
        await made.start(workers, routers, **settings)
        yield made
    finally:
        await made.stop()


def question(text: str, client: str = "") -> inference_pb2.GenerateRequest:
    message = generation_pb2.Message(role="user", content=text)
    generation = generation_pb2.Generation(chat=generation_pb2.Chat(messages=[message]))
    return inference_pb2.GenerateRequest(model="one", generation=generation, client=client)
