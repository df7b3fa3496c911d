"""Writes that break off and are gone on with, through the service."""

import asyncio
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest

from common.errors import DigestMismatch, InvalidRequest, StoreFull, UploadMoved
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2
from store.folder import FolderStore
from tests.services.blob.helpers import (
    Blobs,
    age_file,
    digest_of,
    distant_future,
    kept,
    parts,
    write,
    write_status,
)
from tests.store.test_folder import no_room

WriteCall: TypeAlias = grpc.aio.StreamUnaryCall[blob_pb2.WriteRequest, blob_pb2.WriteResponse]

CONTENT = bytes(range(250)) * 8000
HALF = len(CONTENT) // 2


async def send(blobs: Blobs, sent: bytes) -> WriteCall:
    """Begin a write, send some of the blob, and wait until it is stored."""
    call: WriteCall = blobs.Write()
    for part in kept(CONTENT, sent):
        await call.write(part)
    async with asyncio.timeout(10):
        while (await write_status(blobs, CONTENT)).committed_size < len(sent):
            # What has come is written when more comes.
            await call.write(blob_pb2.WriteRequest(data=b""))
    return call


async def until_free(blobs: Blobs) -> None:
    async with asyncio.timeout(5):
        while (await write_status(blobs, CONTENT)).busy:
            await asyncio.sleep(0.01)


async def break_off(blobs: Blobs, sent: bytes) -> None:
    """Send some of the blob, and vanish once it is stored."""
    (await send(blobs, sent)).cancel()
    await until_free(blobs)


async def test_it_goes_on_where_it_broke_off(blobs: Blobs, store: FolderStore) -> None:
    assert await write_status(blobs, CONTENT) == blob_pb2.WriteStatusResponse()
    await break_off(blobs, CONTENT[:HALF])
    assert await write_status(blobs, CONTENT) == blob_pb2.WriteStatusResponse(committed_size=HALF)
    written = await write(blobs, kept(CONTENT, CONTENT[HALF:], offset=HALF))
    assert written == blob_pb2.WriteResponse(digest=digest_of(CONTENT), size=len(CONTENT))
    assert b"".join(store.read(digest_of(CONTENT))) == CONTENT
    assert await write_status(blobs, CONTENT) == blob_pb2.WriteStatusResponse(
        committed_size=len(CONTENT), complete=True
    )
    assert store.abort_uploads(distant_future()) == 0


async def test_it_is_busy_while_it_is_written(blobs: Blobs, store: FolderStore) -> None:
    call = await send(blobs, CONTENT[:HALF])
    assert (await write_status(blobs, CONTENT)).busy
    with pytest.raises(UploadMoved), rpc_errors():
        await write(blobs, kept(CONTENT, CONTENT[HALF:], offset=HALF))
    beside = await write(blobs, kept(CONTENT, CONTENT[:HALF], CONTENT[HALF:]))
    assert beside.size == len(CONTENT)
    await call.write(blob_pb2.WriteRequest(data=CONTENT[HALF:]))
    await call.done_writing()
    assert (await call).size == len(CONTENT)
    assert store.abort_uploads(distant_future()) == 0


@pytest.mark.parametrize("offset", [1, HALF - 1, HALF + 1, len(CONTENT)])
async def test_another_place_is_refused(blobs: Blobs, offset: int) -> None:
    with pytest.raises(UploadMoved), rpc_errors():
        await write(blobs, kept(CONTENT, CONTENT[offset:], offset=offset))
    await break_off(blobs, CONTENT[:HALF])
    with pytest.raises(UploadMoved), rpc_errors():
        await write(blobs, kept(CONTENT, CONTENT[offset:], offset=offset))
    assert (await write_status(blobs, CONTENT)).committed_size == HALF


async def test_wrong_bytes_are_forgotten(blobs: Blobs, store: FolderStore) -> None:
    await break_off(blobs, bytes(HALF))
    with pytest.raises(DigestMismatch), rpc_errors():
        await write(blobs, kept(CONTENT, CONTENT[HALF:], offset=HALF))
    assert await write_status(blobs, CONTENT) == blob_pb2.WriteStatusResponse()
    assert store.abort_uploads(distant_future()) == 0
    await write(blobs, kept(CONTENT, CONTENT[:HALF], CONTENT[HALF:]))


async def test_a_body_that_ends_early_is_kept(blobs: Blobs) -> None:
    with pytest.raises(InvalidRequest, match="instead of the declared"), rpc_errors():
        await write(blobs, kept(CONTENT, CONTENT[:HALF]))
    assert (await write_status(blobs, CONTENT)).committed_size == HALF


async def test_what_a_full_disk_had_room_for_is_kept(blobs: Blobs, store: FolderStore) -> None:
    with no_room(), pytest.raises(StoreFull), rpc_errors():
        await write(blobs, kept(CONTENT, CONTENT[:HALF], CONTENT[HALF:]))
    written = (await write_status(blobs, CONTENT)).committed_size
    assert written == 100_000
    await write(blobs, kept(CONTENT, CONTENT[written:], offset=written))
    assert store.stat(digest_of(CONTENT)).size == len(CONTENT)


async def test_what_a_kept_write_must_state(blobs: Blobs) -> None:
    digest = digest_of(CONTENT)
    for wrong in (
        parts(b"x", digest=digest, keep=True),
        parts(b"x", size=1, keep=True),
        parts(b"x", digest=digest, size=2, offset=1),
    ):
        with pytest.raises(InvalidRequest), rpc_errors():
            await write(blobs, wrong)


async def test_collection_tells_of_uploads(blobs: Blobs, root: Path) -> None:
    await break_off(blobs, CONTENT[:HALF])
    assert (await blobs.Collect(blob_pb2.CollectRequest())).uploads == 0
    (file,) = await asyncio.to_thread(lambda: list((root / "uploads").glob("kept-*")))
    age_file(file, hours=2)
    assert (await blobs.Collect(blob_pb2.CollectRequest())).uploads == 1
    assert await write_status(blobs, CONTENT) == blob_pb2.WriteStatusResponse()
