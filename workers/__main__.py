"""`python -m workers`: a worker as a process."""

import asyncio

from common.cpus import answer_on
from common.metrics import metrics_served
from common.process import run_process
from common.rpc import open_channel
from common.server import Server
from common.settings import read_settings, seconds
from protos.paddock.v1 import blob_pb2_grpc, worker_pb2, worker_pb2_grpc
from workers.cache import FileCache
from workers.cache_pruning import CachePruning
from workers.download.process import DownloadProcess
from workers.gguf.conversions import Conversions
from workers.memory import accelerator_memory, machine_memory
from workers.metrics import LoadMetrics, WorkerMetrics
from workers.models import Models
from workers.scratch import own_scratch
from workers.servicer import WorkerServicer
from workers.settings import WorkerSettings
from workers.simulated.factory import SimulatedFactory
from workers.vllm_factory import VllmFactory, end_process

_PRUNING_SECONDS = 60.0
# For routers to read how the last sequences ended.
_LAST_UPDATES_SECONDS = 5.0
# For what still answers after that.
_LAST_CALLS_SECONDS = 1.0


async def serve(settings: WorkerSettings, stop: asyncio.Event) -> None:
    """Serve until asked to stop, then let running sequences finish and end the engines."""
    simulated = settings.engine == "simulated"
    accelerator = None if simulated else accelerator_memory(settings.parallelism.size)
    share = int((accelerator or machine_memory()) * settings.memory_share) // settings.sharers
    factory = _factory(settings, accelerator=accelerator is not None)
    server = Server()
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
            conversions=None if simulated else conversions,
            max_engines=settings.max_loaded_models,
            observer=LoadMetrics(server.metrics),
            sleep_memory=settings.sleep_memory,
        )
        server.metrics.register(WorkerMetrics(models))
        try:
            servicer = WorkerServicer(models)
            await _listen(server, settings, servicer)
            if isinstance(factory, VllmFactory):
                factory.prepare()
            async with (
                metrics_served(settings.metrics, server.metrics),
                asyncio.TaskGroup() as upkeep,
            ):
                pruning = CachePruning(files.models, files.partial, blobs)
                tasks = [
                    upkeep.create_task(models.expire_for_ever()),
                    upkeep.create_task(pruning.prune_for_ever(_PRUNING_SECONDS)),
                ]
                await _serve(server, settings, stop)
                await models.drain(seconds(settings.drain_timeout))
                await servicer.finish(_LAST_UPDATES_SECONDS)
                await server.stop(_LAST_CALLS_SECONDS)
                for task in tasks:
                    task.cancel()
        finally:
            await models.aclose()
            await conversions.aclose()


def _factory(settings: WorkerSettings, *, accelerator: bool) -> VllmFactory | SimulatedFactory:
    context_length = settings.context_length or None
    compiles = settings.compiles(accelerator=accelerator)
    if settings.engine == "simulated":
        return SimulatedFactory(
            settings.simulation,
            max_sequences=settings.max_sequences,
            context_length=context_length,
        )
    return VllmFactory(
        settings.cache / "failures",
        max_sequences=settings.max_sequences,
        context_length=context_length,
        accelerator=accelerator,
        sharers=settings.sharers,
        images=settings.image_limits,
        max_adapters=settings.max_adapters,
        parallelism=settings.parallelism,
        compiled=settings.cache / "compiled" if accelerator or compiles else None,
        sleeps=settings.sleep_memory > 0,
        compiles=compiles,
    )


async def _listen(server: Server, settings: WorkerSettings, servicer: WorkerServicer) -> None:
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(servicer, server.grpc)
    service = worker_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name
    await server.start(settings.listen, service, probes=settings.probes)


async def _serve(server: Server, settings: WorkerSettings, stop: asyncio.Event) -> None:
    await server.set_serving(True)
    answer_on(settings.serving_cpus)
    await stop.wait()
    await server.set_serving(False)


def main() -> None:
    """Start the process."""
    settings = read_settings(WorkerSettings, "python -m workers")
    with own_scratch():
        run_process("worker", settings.log_level, lambda stop: serve(settings, stop))
    end_process()


if __name__ == "__main__":
    main()
