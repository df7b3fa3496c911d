"""Writing blobs through the service."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import DigestMismatch, InvalidDigest, InvalidRequest, StoreFailed
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2
from services.blob.receiving import MAX_PART_SIZE
from store.folder import FolderStore
from tests.services.blob.helpers import Blobs, age, digest_of, distant_future, parts, put, write


def assert_nothing_is_left(store: FolderStore) -> None:
    assert list(store.list_blobs()) == []
    assert store.abort_uploads(distant_future()) == 0


async def test_a_blob_is_stored(blobs: Blobs, store: FolderStore) -> None:
    digest = digest_of(b"weights")
    written = await write(blobs, parts(b"wei", b"", b"ghts", digest=digest, size=7))
    assert written == blob_pb2.WriteResponse(digest=digest, size=7, existed=False)
    assert b"".join(store.read(digest)) == b"weights"


async def test_a_digest_may_be_unknown_or_spelt_otherwise(blobs: Blobs) -> None:
    digest = digest_of(b"x")
    assert (await write(blobs, parts(b"x"))).digest == digest
    other = f"sha256-{digest[7:].upper()}"
    assert (await write(blobs, parts(digest=other))).digest == digest


async def test_an_empty_blob(blobs: Blobs) -> None:
    assert (await write(blobs, parts(digest=digest_of(b""), size=0))).size == 0


async def test_many_parts_of_all_sizes_arrive_in_order(blobs: Blobs, store: FolderStore) -> None:
    pieces = [bytes([number]) * (number**3) for number in range(150)]
    content = b"".join(pieces)
    await write(blobs, parts(*pieces, digest=digest_of(content), size=len(content)))
    assert b"".join(store.read(digest_of(content))) == content


async def test_a_wrong_digest_stores_nothing(blobs: Blobs, store: FolderStore) -> None:
    expected, got = digest_of(b"right"), digest_of(b"wrong")
    with pytest.raises(DigestMismatch) as caught, rpc_errors():
        await write(blobs, parts(b"wrong", digest=expected))
    assert caught.value.message == f'digest mismatch, expected "{expected}", got "{got}"'
    assert_nothing_is_left(store)


@pytest.mark.parametrize(
    ("size", "message"), [(4, "longer than the declared 4"), (6, "instead of the declared 6")]
)
async def test_a_wrong_size_stores_nothing(
    blobs: Blobs, store: FolderStore, size: int, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message), rpc_errors():
        await write(blobs, parts(b"12", b"345", size=size))
    assert_nothing_is_left(store)


async def test_parts_that_break_the_protocol(blobs: Blobs, store: FolderStore) -> None:
    header = blob_pb2.WriteRequest(header=blob_pb2.WriteHeader(size=100))
    unbounded = blob_pb2.WriteRequest(header=blob_pb2.WriteHeader())
    data = blob_pb2.WriteRequest(data=b"x")
    too_large = blob_pb2.WriteRequest(data=bytes(MAX_PART_SIZE + 1))
    neither = blob_pb2.WriteRequest()
    wrong: tuple[list[blob_pb2.WriteRequest], ...] = (
        [],
        [data],
        [unbounded, data],
        [header, header],
        [header, data, neither],
        [header, data, too_large],
    )
    for requests in wrong:
        with pytest.raises(InvalidRequest), rpc_errors():
            await write(blobs, iter(requests))
    with pytest.raises(InvalidDigest, match="invalid digest format"), rpc_errors():
        await write(blobs, parts(b"x", digest="sha256:12"))
    assert_nothing_is_left(store)


async def test_a_stored_blob_is_answered_at_once_and_made_young(
    blobs: Blobs, store: FolderStore, root: Path
) -> None:
    digest = await put(blobs, b"here already")
    age(root, digest, hours=2)
    before = store.stat(digest).modified_at

    async def header_and_then_silence() -> AsyncIterator[blob_pb2.WriteRequest]:
        for part in parts(digest=digest):
            yield part
        await asyncio.Event().wait()

    written = await asyncio.wait_for(blobs.Write(header_and_then_silence()), 5)
    assert written == blob_pb2.WriteResponse(digest=digest, size=12, existed=True)
    assert store.stat(digest).modified_at > before


@pytest.mark.parametrize(
    "stated", [{"digest": digest_of(b"never complete")}, {"size": len(b"never complete")}]
)
async def test_a_broken_stream_stores_nothing(
    blobs: Blobs, store: FolderStore, root: Path, stated: dict[str, Any]
) -> None:
    call = blobs.Write()
    for part in parts(b"never", **stated):
        await call.write(part)
    while not list((root / "uploads").glob("upload-*")):
        await asyncio.sleep(0.01)
    call.cancel()
    async with asyncio.timeout(5):
        while list((root / "uploads").glob("upload-*")):
            await asyncio.sleep(0.01)
    assert_nothing_is_left(store)


async def test_two_writers_of_one_blob(blobs: Blobs, store: FolderStore) -> None:
    pieces = [bytes([number]) * 100_000 for number in range(40)]
    digest = digest_of(b"".join(pieces))
    writes = (write(blobs, parts(*pieces, digest=digest)) for _ in range(4))
    assert {written.digest for written in await asyncio.gather(*writes)} == {digest}
    assert [blob.digest for blob in store.list_blobs()] == [digest]
    assert store.abort_uploads(distant_future()) == 0


async def test_a_broken_store_is_named(blobs: Blobs, root: Path) -> None:
    await asyncio.to_thread(root.write_bytes, b"a file where the folder should be")
    with pytest.raises(StoreFailed, match="Not a directory"), rpc_errors():
        await write(blobs, parts(b"x"))
