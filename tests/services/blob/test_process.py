"""`python -m services.blob` as a process."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.rpc import is_serving, open_channel
from protos.paddock.v1 import blob_pb2_grpc
from store.folder import FolderStore
from tests.services.blob.helpers import age, digest_of, parts


@asynccontextmanager
async def blob_process(
    address: str, store: Path, *flags: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.blob", "--listen", address, "--store", str(store), *flags
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def wait_until_serving(address: str) -> None:
    async with asyncio.timeout(20):
        while not await is_serving(address):
            await asyncio.sleep(0.05)


async def test_it_serves_collects_at_start_and_drains(tmp_path: Path, root: Path) -> None:
    store = FolderStore(root)
    with store.begin_upload() as upload:
        upload.write(b"old garbage")
        upload.commit()
    age(root, digest_of(b"old garbage"), hours=2)
    address = f"unix:{tmp_path}/blob.sock"
    async with blob_process(address, root) as process:
        await wait_until_serving(address)
        async with asyncio.timeout(5):
            while list(store.list_blobs()):
                await asyncio.sleep(0.05)
        async with open_channel(address) as channel:
            stub = blob_pb2_grpc.BlobServiceStub(channel)
            call = stub.Write()
            for part in parts(b"sent before, ", b"finished after SIGTERM"):
                await call.write(part)
            await asyncio.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
            await call.done_writing()
            written = await call
        assert await asyncio.wait_for(process.wait(), 10) == 0
    assert written.digest == digest_of(b"sent before, finished after SIGTERM")
    assert store.stat(written.digest).size == 35


async def test_it_is_healthy_only_while_the_store_is(tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"no folder")
    address = f"unix:{tmp_path}/blob.sock"
    async with blob_process(address, tmp_path / "models") as process:
        async with open_channel(address) as channel:
            await asyncio.wait_for(channel.channel_ready(), 20)
        await asyncio.sleep(0.2)
        assert not await is_serving(address)
        assert process.returncode is None


@pytest.mark.parametrize("flags", [["--noprune"], ["--collect-grace", "3h"]])
async def test_collection_can_be_held_back(tmp_path: Path, root: Path, flags: list[str]) -> None:
    store = FolderStore(root)
    with store.begin_upload() as upload:
        upload.write(b"kept")
        upload.commit()
    age(root, digest_of(b"kept"), hours=2)
    address = f"unix:{tmp_path}/blob.sock"
    async with blob_process(address, root, *flags):
        await wait_until_serving(address)
        await asyncio.sleep(0.2)
        assert store.stat(digest_of(b"kept")).size == 4


async def test_a_store_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.blob", "--store", "gs://bucket"),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PADDOCK_LISTEN": f"unix:{tmp_path}/blob.sock"},
    )
    _, error = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert error.decode().startswith('blob: a store at "gs://" is not supported')
