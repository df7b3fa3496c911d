"""`python -m workers`: a worker as a process."""

import asyncio
import contextlib

from common.process import run_process
from common.rpc import Server, open_channel
from common.settings import read_settings
from protos.paddock.v1 import blob_pb2_grpc, worker_pb2, worker_pb2_grpc
from workers.cache import FileCache
from workers.memory import accelerator_memory, machine_memory
from workers.models import Models
from workers.servicer import WorkerServicer
from workers.settings import WorkerSettings
from workers.vllm_factory import VllmFactory

# For what still answers when every sequence has ended.
_LAST_CALLS_SECONDS = 1.0


async def serve(settings: WorkerSettings, stop: asyncio.Event) -> None:
    """Serve until asked to stop, then let running sequences finish and end the engines."""
    accelerator = accelerator_memory()
    share = int((accelerator or machine_memory()) * settings.memory_share)
    factory = VllmFactory(
        max_sequences=settings.max_sequences,
        context_length=settings.context_length or None,
        accelerator=accelerator is not None,
    )
    async with open_channel(settings.blob) as channel:
        files = FileCache(settings.cache, blob_pb2_grpc.BlobServiceStub(channel))
        models = Models(
            factory, files, settings.memory_budget or share, settings.keep_alive_nanoseconds
        )
        expiry = asyncio.create_task(models.expire_for_ever())
        try:
            await _serve(settings, models, stop)
        finally:
            expiry.cancel()
            await models.aclose()
            await factory.aclose()


async def _serve(settings: WorkerSettings, models: Models, stop: asyncio.Event) -> None:
    server = Server()
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerServicer(models), server.grpc)
    service = worker_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name
    await server.start(settings.listen, service)
    await server.set_serving(True)
    await stop.wait()
    await server.set_serving(False)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(models.drain(), settings.drain_seconds)
    await server.stop(_LAST_CALLS_SECONDS)


def main() -> None:
    """Start the process."""
    settings = read_settings(WorkerSettings, "python -m workers")
    run_process("worker", settings.log_level, lambda stop: serve(settings, stop))


if __name__ == "__main__":
    main()
