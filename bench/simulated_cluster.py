"""Many simulated workers in one process: `python -m bench.simulated_cluster --workers 64`.

Each is a worker service of its own, with its own models and engines, at an address of its own:
the ports from that of `--listen` on, or its path with a number. They share the files of models.
All other settings are those of `python -m workers`. The last line that it prints, when it is
ended, is what its engines computed, in JSON.
"""

import asyncio
import dataclasses
import json
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from pydantic import Field

from common.process import run_process
from common.rpc import open_channel
from common.server import Server
from common.settings import read_settings
from protos.paddock.v1 import blob_pb2_grpc, worker_pb2, worker_pb2_grpc
from workers.cache import FileCache
from workers.download.process import DownloadProcess
from workers.files import Files
from workers.models import Models
from workers.servicer import WorkerServicer
from workers.settings import WorkerSettings
from workers.simulated.batch import Counts
from workers.simulated.factory import SimulatedFactory

_MEMORY = 1 << 30  # bytes for models on each worker, where no setting says it
SERVICE = worker_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name


class ClusterSettings(WorkerSettings):
    """Flags and variables of `python -m bench.simulated_cluster`."""

    workers: int = Field(default=4, ge=1)
    """Workers."""


def addresses(listen: str, count: int) -> list[str]:
    """Give the addresses of so many workers."""
    if listen.startswith("unix:"):
        path = Path(listen)
        return [str(path.with_stem(f"{path.stem}-{number}")) for number in range(count)]
    host, _, port = listen.rpartition(":")
    return [f"{host}:{int(port) + number}" for number in range(count)]


async def start_worker(
    stack: AsyncExitStack, address: str, settings: WorkerSettings, files: Files
) -> SimulatedFactory:
    """Serve one worker until the stack is left; give what starts its engines."""
    factory = SimulatedFactory(
        settings.simulation,
        max_sequences=settings.max_sequences,
        context_length=settings.context_length or None,
    )
    budget = settings.memory_budget or _MEMORY
    models = Models(factory, files, budget, settings.keep_alive_nanoseconds)
    stack.push_async_callback(models.aclose)
    server = Server()
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerServicer(models), server.grpc)
    await server.start(address, SERVICE)
    stack.push_async_callback(server.stop, 0)
    expiry = asyncio.create_task(models.expire_for_ever())
    stack.callback(expiry.cancel)
    await server.set_serving(True)
    return factory


async def serve(settings: ClusterSettings, stop: asyncio.Event) -> None:
    """Serve until asked to stop, then print what was computed."""
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(open_channel(settings.blob))
        downloader = DownloadProcess(settings.blob, settings.download_limits)
        files = FileCache(settings.cache, blob_pb2_grpc.BlobServiceStub(channel), downloader)
        # The last one first: when the first one serves, all do.
        factories = [
            await start_worker(stack, address, settings, files)
            for address in reversed(addresses(settings.listen, settings.workers))
        ]
        await stop.wait()
    print(json.dumps(dataclasses.asdict(total(factory.counts for factory in factories))))


def total(counts: Iterable[Counts]) -> Counts:
    """Add up what several workers computed."""
    parts = [dataclasses.astuple(each) for each in counts]
    return Counts(*map(sum, zip(*parts, strict=True)))


def main() -> None:
    """Start the process."""
    settings = read_settings(ClusterSettings, "python -m bench.simulated_cluster")
    run_process("workers", settings.log_level, lambda stop: serve(settings, stop))


if __name__ == "__main__":
    main()
