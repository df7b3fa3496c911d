"""`python -m workers`: a worker as a process."""

import asyncio
import contextlib

from common.process import run_process
from common.rpc import Server, open_channel
from common.settings import read_settings, seconds
from protos.paddock.v1 import blob_pb2_grpc, worker_pb2, worker_pb2_grpc
from workers.cache import FileCache
from workers.cache_pruning import CachePruning
from workers.download.process import DownloadProcess
from workers.gguf.conversions import Conversions
from workers.memory import accelerator_memory, machine_memory
from workers.models import Models
from workers.servicer import WorkerServicer
from workers.settings import WorkerSettings
from workers.vllm_factory import VllmFactory, end_process

_PRUNING_SECONDS = 60.0
# For what still answers when every sequence has ended.
_LAST_CALLS_SECONDS = 1.0


async def serve(settings: WorkerSettings, stop: asyncio.Event) -> None:
    """Serve until asked to stop, then let running sequences finish and end the engines."""
    accelerator = accelerator_memory()
    share = int((accelerator or machine_memory()) * settings.memory_share)
    factory = VllmFactory(
        settings.cache / "failures",
        max_sequences=settings.max_sequences,
        context_length=settings.context_length or None,
        accelerator=accelerator is not None,
        images=settings.image_limits,
        max_adapters=settings.max_adapters,
    )
    async with open_channel(settings.blob) as channel:
        blobs = blob_pb2_grpc.BlobServiceStub(channel)
        downloader = DownloadProcess(settings.blob, settings.download_limits)
        files = FileCache(settings.cache, blobs, downloader, settings.cache_size)
        conversions = Conversions(files, blobs, accelerator=accelerator is not None)
        models = Models(
            factory,
            files,
            settings.memory_budget or share,
            settings.keep_alive_nanoseconds,
            conversions=conversions,
        )
        try:
            server = await _listen(settings, models)
            factory.prepare()
            async with asyncio.TaskGroup() as upkeep:
                pruning = CachePruning(files.models, files.partial, blobs)
                tasks = [
                    upkeep.create_task(models.expire_for_ever()),
                    upkeep.create_task(pruning.prune_for_ever(_PRUNING_SECONDS)),
                ]
                await _serve(settings, models, server, stop)
                for task in tasks:
                    task.cancel()
        finally:
            await models.aclose()
            await conversions.aclose()


async def _listen(settings: WorkerSettings, models: Models) -> Server:
    server = Server()
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerServicer(models), server.grpc)
    service = worker_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name
    await server.start(settings.listen, service)
    return server


async def _serve(
    settings: WorkerSettings, models: Models, server: Server, stop: asyncio.Event
) -> None:
    await server.set_serving(True)
    await stop.wait()
    await server.set_serving(False)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(models.drain(), seconds(settings.drain_timeout))
    await server.stop(_LAST_CALLS_SECONDS)


def main() -> None:
    """Start the process."""
    settings = read_settings(WorkerSettings, "python -m workers")
    run_process("worker", settings.log_level, lambda stop: serve(settings, stop))
    end_process()


if __name__ == "__main__":
    main()
