"""Workers that share a disk, and workers that are killed."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

from common.rpc import open_channel
from protos.paddock.v1 import blob_pb2_grpc, model_pb2
from tests.workers.blobs import fetch_model
from tests.workers.download.conftest import LIMITS, RANGE
from tests.workers.download.test_downloads import contents, size
from tests.workers.range_server import RangeServer
from workers.cache import FileCache
from workers.download.process import DownloadProcess


@asynccontextmanager
async def cache_in(folder: Path) -> AsyncIterator[FileCache]:
    address = f"unix:{folder}/blob.sock"
    downloader = DownloadProcess(address, LIMITS)
    async with open_channel(address) as channel:
        stub: blob_pb2_grpc.BlobServiceStub = blob_pb2_grpc.BlobServiceStub(channel)
        yield FileCache(folder / "cache", stub, downloader)


def fetch(folder: Path, spec: bytes) -> None:
    asyncio.run(_fetch(folder, model_pb2.ModelSpec.FromString(spec)))


async def _fetch(folder: Path, spec: model_pb2.ModelSpec) -> None:
    async with cache_in(folder) as cache:
        await fetch_model(cache, spec)


@contextmanager
def fetching(folder: Path, spec: model_pb2.ModelSpec) -> Iterator[BaseProcess]:
    """Run another worker on the same disk."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=fetch, args=(folder, spec.SerializeToString()))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


async def test_two_workers_read_a_model_once(
    server: RangeServer, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    server.pace = 0.02
    with fetching(tmp_path, spec) as one, fetching(tmp_path, spec) as two:
        for process in (one, two):
            await asyncio.to_thread(process.join, 60)
            assert process.exitcode == 0
    assert server.served == size(spec)
    async with cache_in(tmp_path) as cache:
        folder = (await fetch_model(cache, spec)).path
    assert contents(folder) == contents(tmp_path / "source")
    assert server.served == size(spec)
    assert not list((tmp_path / "cache" / "partial").iterdir())


async def test_what_a_killed_worker_had_read_is_not_read_again(
    server: RangeServer, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    server.pace = 0.02
    with fetching(tmp_path, spec) as process:
        while server.served < 6 * RANGE:
            await asyncio.sleep(0.005)
        process.kill()
        await asyncio.to_thread(process.join)
    assert not list((tmp_path / "cache" / "models").iterdir())
    async with cache_in(tmp_path) as cache:
        folder = (await fetch_model(cache, spec)).path
    assert contents(folder) == contents(tmp_path / "source")
    # Only the ranges that were being read come twice.
    assert server.served <= size(spec) + LIMITS.parallel * RANGE


async def test_a_worker_waits_for_another_and_goes_on_when_that_is_killed(
    server: RangeServer, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    server.pace = 0.05
    with fetching(tmp_path, spec) as process:
        while server.served < 2 * RANGE:
            await asyncio.sleep(0.005)
        async with cache_in(tmp_path) as cache:
            waiting = asyncio.create_task(fetch_model(cache, spec))
            await asyncio.sleep(0.2)
            process.kill()
            folder = (await waiting).path
    assert contents(folder) == contents(tmp_path / "source")
    assert server.served <= size(spec) + LIMITS.parallel * RANGE


async def test_a_load_goes_on_when_its_reader_is_killed(
    server: RangeServer, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    server.pace = 0.05
    arrived: list[int] = []
    async with cache_in(tmp_path) as cache:
        loading = asyncio.create_task(fetch_model(cache, spec, arrived.append))
        while server.served < 2 * RANGE:
            await asyncio.sleep(0.005)
        [reader] = readers(psutil.Process())
        reader.kill()
        folder = (await loading).path
    assert contents(folder) == contents(tmp_path / "source")
    assert sum(arrived) == size(spec)


async def test_the_reader_ends_with_its_worker(
    server: RangeServer, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    server.pace = 0.05
    with fetching(tmp_path, spec) as process:
        while server.served < RANGE:
            await asyncio.sleep(0.005)
        [reader] = readers(psutil.Process(process.pid))
        process.kill()
        await asyncio.to_thread(reader.wait, 5)


def readers(worker: psutil.Process) -> list[psutil.Process]:
    return [child for child in worker.children() if "workers.download" in child.cmdline()]
