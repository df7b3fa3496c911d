"""Files that are read by URL, from a server that fails in every way."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from common.errors import BlobNotFound, DigestMismatch, StoreFailed
from protos.paddock.v1 import model_pb2
from tests.workers.blobs import FolderBlobs, fetch_model
from tests.workers.download.conftest import LIMITS, RANGE
from tests.workers.range_server import RangeServer
from workers.cache import FileCache


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def size(spec: model_pb2.ModelSpec) -> int:
    return sum(file.size for file in spec.files)


async def test_ranges_are_read_in_parallel_and_once(
    cache: FileCache,
    blobs: FolderBlobs,
    server: RangeServer,
    spec: model_pb2.ModelSpec,
    tmp_path: Path,
) -> None:
    server.pace = 0.01
    arrived: list[int] = []
    folder = (await fetch_model(cache, spec, arrived.append)).path
    assert contents(folder) == contents(tmp_path / "source")
    assert server.served == size(spec) == sum(arrived)
    assert server.requests == 1 + 5 + 5
    assert server.most_at_once == LIMITS.parallel
    assert blobs.reads == 0
    assert not list(cache.partial.iterdir())
    assert {path.name for path in folder.parent.iterdir()} == {"model", "record.json"}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    "fault",
    ["stall", "drip", "drop", "short", "shifted", "whole", "403", "404", "500", "503", "302"],
)
async def test_a_fault_is_overcome(
    cache: FileCache,
    blobs: FolderBlobs,
    server: RangeServer,
    spec: model_pb2.ModelSpec,
    tmp_path: Path,
    fault: str,
    times: int,
) -> None:
    server.faults.extend(["", fault] * times)
    folder = (await fetch_model(cache, spec)).path
    assert contents(folder) == contents(tmp_path / "source")
    assert blobs.reads == 0


async def test_what_came_before_an_interruption_is_not_read_again(
    cache: FileCache, server: RangeServer, spec: model_pb2.ModelSpec
) -> None:
    server.faults.extend(["drop", "stall"] * 3)
    await fetch_model(cache, spec)
    assert server.served == size(spec)


async def test_an_expired_url_is_located_again(
    cache: FileCache, blobs: FolderBlobs, server: RangeServer, spec: model_pb2.ModelSpec
) -> None:
    server.expired_before = len(spec.files) + 1
    await fetch_model(cache, spec)
    assert blobs.reads == 0
    # Once for each file that is not empty, however many of its ranges were refused.
    assert blobs.locates == len(spec.files) + 3


async def test_a_url_that_is_about_to_expire_is_not_used(
    cache: FileCache, blobs: FolderBlobs, server: RangeServer, spec: model_pb2.ModelSpec
) -> None:
    blobs.url_lifetime = timedelta(seconds=1)
    fetching = asyncio.create_task(fetch_model(cache, spec))
    while blobs.locates < len(spec.files):
        await asyncio.sleep(0)
    blobs.url_lifetime = timedelta(hours=1)
    server.expired_before = len(spec.files) + 1
    await fetching
    assert server.requests == 1 + 5 + 5


async def test_a_server_that_cannot_be_reached_is_gone_around(
    cache: FileCache, blobs: FolderBlobs, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    blobs.urls = "http://127.0.0.1:9"
    folder = (await fetch_model(cache, spec)).path
    assert contents(folder) == contents(tmp_path / "source")
    assert blobs.reads == 1 + 5 + 5


async def test_a_server_that_refuses_for_ever_is_gone_around(
    cache: FileCache, server: RangeServer, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    server.always = "403"
    folder = (await fetch_model(cache, spec)).path
    assert contents(folder) == contents(tmp_path / "source")


async def test_other_bytes_leave_nothing(
    cache: FileCache, server: RangeServer, spec: model_pb2.ModelSpec
) -> None:
    server.always = "lie"
    with pytest.raises(DigestMismatch):
        await fetch_model(cache, spec)
    assert not list(cache.models.iterdir())
    assert not list(cache.partial.iterdir())


async def test_a_blob_that_leaves_the_store_meanwhile(
    cache: FileCache, blobs: FolderBlobs, server: RangeServer, spec: model_pb2.ModelSpec
) -> None:
    server.always = "404"
    fetching = asyncio.create_task(fetch_model(cache, spec))
    while blobs.locates < len(spec.files):
        await asyncio.sleep(0)
    blobs.paths = {}
    with pytest.raises(BlobNotFound):
        await fetching


async def test_a_store_that_dies_is_an_error_and_the_next_attempt_goes_on(
    cache: FileCache,
    blobs: FolderBlobs,
    server: RangeServer,
    spec: model_pb2.ModelSpec,
    tmp_path: Path,
) -> None:
    server.faults.extend([""] * 6)
    server.always = "500"
    blobs.failure = StoreFailed("the bucket does not answer")
    arrived: list[int] = []
    with pytest.raises(StoreFailed, match="does not answer"):
        await fetch_model(cache, spec, arrived.append)
    assert sum(arrived) == 0
    assert not list(cache.models.iterdir())
    before = server.served
    blobs.failure = None
    folder = (await fetch_model(cache, spec, arrived.append)).path
    assert contents(folder) == contents(tmp_path / "source")
    assert sum(arrived) == size(spec)
    # The detour still holds: what was missing came through the service.
    assert server.served == before
    assert blobs.reads >= (size(spec) - before) // RANGE


async def test_whole_ranges_that_the_disk_lost_are_read_again(
    cache: FileCache,
    blobs: FolderBlobs,
    server: RangeServer,
    spec: model_pb2.ModelSpec,
    tmp_path: Path,
) -> None:
    """As after a power cut: the journal is on the disk, the bytes are not."""
    await begin(cache, server, spec)
    for path in cache.partial.glob("*/download/part/*"):
        path.write_bytes(bytes(path.stat().st_size))
    arrived: list[int] = []
    folder = (await fetch_model(cache, spec, arrived.append)).path
    assert contents(folder) == contents(tmp_path / "source")
    assert sum(arrived) == size(spec)


@pytest.mark.parametrize("damage", [b"", b"\1", b"\1" * 99], ids=["none", "short", "long"])
async def test_a_journal_of_another_length_counts_for_nothing(
    cache: FileCache, server: RangeServer, spec: model_pb2.ModelSpec, tmp_path: Path, damage: bytes
) -> None:
    await begin(cache, server, spec)
    for path in cache.partial.glob("*/journal/part/*"):
        path.write_bytes(damage)
    folder = (await fetch_model(cache, spec)).path
    assert contents(folder) == contents(tmp_path / "source")


async def test_a_link_from_an_earlier_attempt_is_never_written_to(
    cache: FileCache,
    blobs: FolderBlobs,
    server: RangeServer,
    spec: model_pb2.ModelSpec,
    tmp_path: Path,
) -> None:
    before = contents(tmp_path / "source")
    blobs.urls = None
    gone = blobs.paths.popitem()
    with pytest.raises(BlobNotFound):
        await fetch_model(cache, spec)
    blobs.paths[gone[0]] = gone[1]
    blobs.urls = server.url
    await fetch_model(cache, spec)
    assert contents(tmp_path / "source") == before


async def test_a_load_that_is_canceled_ends_at_once_and_is_resumed(
    cache: FileCache, server: RangeServer, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    await begin(cache, server, spec)
    served = server.served
    folder = (await fetch_model(cache, spec)).path
    assert contents(folder) == contents(tmp_path / "source")
    assert server.served - served < size(spec)


async def begin(cache: FileCache, server: RangeServer, spec: model_pb2.ModelSpec) -> None:
    """Bring some ranges, then stall, then be canceled."""
    server.faults.extend([""] * 6 + ["stall"] * 100)
    fetching = asyncio.create_task(fetch_model(cache, spec))
    while server.requests < 6 + LIMITS.parallel:
        await asyncio.sleep(0.01)
    fetching.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert time.monotonic() - began < LIMITS.stall_seconds
    server.faults.clear()
