"""The process is killed, or has no room, in the middle of a write; then comes another one."""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.errors import StoreFull, Unavailable
from common.rpc import open_channel, rpc_errors
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc
from services.blob.fsck import check
from store.folder import FolderStore
from tests.services.blob.helpers import Blobs, digest_of, kept, parts, put, write, write_status
from tests.services.blob.test_process import blob_process, wait_until_serving

CONTENT = bytes(range(250)) * 40_000
PIECE = 100_000


@asynccontextmanager
async def serving(
    tmp_path: Path, root: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Blobs]]:
    address = f"unix:{tmp_path}/blob.sock"
    async with blob_process(address, root) as process:
        await wait_until_serving(address)
        async with open_channel(address, retry=False) as channel:
            stub: Blobs = blob_pb2_grpc.BlobServiceStub(channel)
            yield process, stub


async def kill_while_writing(
    process: asyncio.subprocess.Process,
    blobs: Blobs,
    root: Path,
    requests: Iterator[blob_pb2.WriteRequest],
) -> None:
    """Send requests until half a blob lies on the disk, then kill the service."""

    def arrived() -> int:
        return sum(file.stat().st_size for file in (root / "uploads").glob("*-*"))

    call = blobs.Write()
    async with asyncio.timeout(20):
        while await asyncio.to_thread(arrived) <= len(CONTENT) // 2:
            await call.write(next(requests))
    process.kill()
    await process.wait()
    with pytest.raises(Unavailable), rpc_errors():
        await call


def pieces(start: int = 0) -> Iterator[bytes]:
    return (CONTENT[place : place + PIECE] for place in range(start, len(CONTENT), PIECE))


async def test_a_kept_write_goes_on_after_a_kill(tmp_path: Path, root: Path) -> None:
    async with serving(tmp_path, root) as (process, blobs):
        await kill_while_writing(process, blobs, root, kept(CONTENT, *pieces()))
    assert check(FolderStore(root), repair=False)
    async with serving(tmp_path, root) as (process, blobs):
        status = await write_status(blobs, CONTENT)
        assert len(CONTENT) // 2 < status.committed_size < len(CONTENT)
        assert not status.busy
        offset = status.committed_size
        await write(blobs, kept(CONTENT, *pieces(offset), offset=offset))
    assert_it_is_whole(root)


async def test_another_write_begins_anew_after_a_kill(tmp_path: Path, root: Path) -> None:
    requests = parts(*pieces(), digest=digest_of(CONTENT), size=len(CONTENT))
    async with serving(tmp_path, root) as (process, blobs):
        await kill_while_writing(process, blobs, root, requests)
    store = FolderStore(root)
    assert list(store.list_blobs()) == []
    assert check(store, repair=False)
    async with serving(tmp_path, root) as (process, blobs):
        assert await write_status(blobs, CONTENT) == blob_pb2.WriteStatusResponse()
        await put(blobs, CONTENT)
    assert_it_is_whole(root)


async def test_a_client_that_is_killed_leaves_its_upload_free(tmp_path: Path, root: Path) -> None:
    script = f"""
import sys, time, grpc
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc
from tests.services.blob.helpers import kept
from tests.services.blob.test_killed import CONTENT, PIECE, pieces
def requests():
    for number, request in enumerate(kept(CONTENT, *pieces())):
        yield request
        if number == 50:
            print("half", flush=True)
            time.sleep(60)
channel = grpc.insecure_channel("unix:{tmp_path}/blob.sock")
blob_pb2_grpc.BlobServiceStub(channel).Write(requests())
"""
    async with serving(tmp_path, root) as (_, blobs):
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
        )
        assert client.stdout
        assert await asyncio.wait_for(client.stdout.readline(), 20) == b"half\n"
        client.kill()
        await client.wait()
        async with asyncio.timeout(5):
            while (status := await write_status(blobs, CONTENT)).busy:
                await asyncio.sleep(0.05)
        offset = status.committed_size
        await write(blobs, kept(CONTENT, *pieces(offset), offset=offset))
    assert_it_is_whole(root)


async def test_it_serves_on_when_the_disk_is_full(tmp_path: Path, root: Path) -> None:
    room = 3_000_000
    async with serving(tmp_path, root) as (process, blobs):
        no_limit = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, no_limit[1]))
        small = await put(blobs, b"small")
        for _ in range(10):
            with pytest.raises(StoreFull), rpc_errors():
                await write(blobs, parts(*pieces(), size=len(CONTENT)))
        with pytest.raises(StoreFull), rpc_errors():
            await write(blobs, kept(CONTENT, *pieces()))
        assert [blob.digest for blob in FolderStore(root).list_blobs()] == [small]
        assert (await write_status(blobs, CONTENT)).committed_size == room
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, no_limit)
        await write(blobs, kept(CONTENT, *pieces(room), offset=room))
    assert_it_is_whole(root)


def assert_it_is_whole(root: Path) -> None:
    store = FolderStore(root)
    assert b"".join(store.read(digest_of(CONTENT))) == CONTENT
    assert check(store, repair=False)
