"""`python -m services.blob`: the Blob service as a process."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from common.blob_messages import SERVICE
from common.metrics import metrics_served
from common.process import run_process
from common.server import Server
from common.settings import read_settings, seconds
from services.blob.collection import Collector
from services.blob.servicer import BlobServicer, add_to_server
from services.blob.settings import BlobSettings
from services.blob.upkeep import collect_regularly, watch_store
from store.opening import open_store

# They wait for disks and for a bucket, so there are more of them than cores.
_THREADS = 32


async def serve(settings: BlobSettings, stop: asyncio.Event) -> None:
    """Serve until asked to stop, then let running requests finish."""
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")
    asyncio.get_running_loop().set_default_executor(threads)
    store = open_store(settings.store)
    collector = Collector(store, timedelta(seconds=seconds(settings.collect_grace)))
    server = Server()
    add_to_server(BlobServicer(store, collector), server.grpc)
    await server.start(settings.listen, SERVICE, probes=settings.probes)
    async with metrics_served(settings.metrics, server.metrics), asyncio.TaskGroup() as upkeep:
        tasks = [upkeep.create_task(watch_store(store, server))]
        if not settings.noprune:
            interval = seconds(settings.collect_interval)
            tasks.append(upkeep.create_task(collect_regularly(collector, interval)))
        await stop.wait()
        for task in tasks:
            task.cancel()
    await server.stop(seconds(settings.drain_timeout))


def main() -> None:
    """Start the process."""
    settings = read_settings(BlobSettings, "python -m services.blob")
    run_process("blob", settings.log_level, lambda stop: serve(settings, stop))


if __name__ == "__main__":
    main()
