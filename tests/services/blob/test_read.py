"""Reading, locating and retaining blobs through the service."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.errors import BlobNotFound, InvalidDigest, InvalidRequest
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2
from store.folder import FolderStore
from store.interface import Location
from tests.services.blob.helpers import UNKNOWN, Blobs, age, distant_future, put, serving_blobs


async def read(blobs: Blobs, request: blob_pb2.ReadRequest) -> list[bytes]:
    return [response.data async for response in blobs.Read(request)]


@pytest.mark.parametrize(
    ("offset", "length"), [(0, None), (0, 0), (5, 10), (2_999_990, 100), (3_000_000, None)]
)
async def test_ranges(blobs: Blobs, offset: int, length: int | None) -> None:
    content = bytes(range(250)) * 12_000
    digest = await put(blobs, content)
    chunks = await read(blobs, blob_pb2.ReadRequest(digest=digest, offset=offset, length=length))
    end = None if length is None else offset + length
    assert b"".join(chunks) == content[offset:end]
    assert all(len(chunk) <= 1024 * 1024 for chunk in chunks)


async def test_a_reader_finishes_what_is_deleted_meanwhile(
    blobs: Blobs, store: FolderStore
) -> None:
    content = bytes(8_000_000)
    digest = await put(blobs, content)
    call = blobs.Read(blob_pb2.ReadRequest(digest=digest))
    responses = aiter(call)
    received = (await anext(responses)).data
    assert store.delete_blob(digest, distant_future())
    async for response in responses:
        received += response.data
    assert received == content


async def test_stat_and_locate(blobs: Blobs, store: FolderStore) -> None:
    digest = await put(blobs, b"somewhere")
    stat = await blobs.Stat(blob_pb2.StatRequest(digest=digest))
    assert stat.size == 9
    assert stat.modified_at.ToMicroseconds() > 0
    located = await blobs.Locate(blob_pb2.LocateRequest(digest=digest))
    assert located.size == 9
    content = await asyncio.to_thread(Path(located.path).read_bytes)
    assert content == b"somewhere"


async def test_retain_names_what_is_missing(blobs: Blobs, store: FolderStore, root: Path) -> None:
    digest = await put(blobs, b"x")
    age(root, digest, hours=2)
    before = store.stat(digest).modified_at
    answer = await blobs.Retain(blob_pb2.RetainRequest(digests=[digest, UNKNOWN]))
    assert list(answer.missing) == [UNKNOWN]
    assert store.stat(digest).modified_at > before


async def test_unknown_blobs_and_wrong_digests(blobs: Blobs) -> None:
    message = f'blob "{UNKNOWN}" not found'
    with pytest.raises(BlobNotFound, match=message), rpc_errors():
        await blobs.Stat(blob_pb2.StatRequest(digest=UNKNOWN))
    with pytest.raises(BlobNotFound, match=message), rpc_errors():
        await blobs.Locate(blob_pb2.LocateRequest(digest=UNKNOWN))
    with pytest.raises(BlobNotFound, match=message), rpc_errors():
        await read(blobs, blob_pb2.ReadRequest(digest=UNKNOWN))
    with pytest.raises(InvalidDigest), rpc_errors():
        await blobs.Stat(blob_pb2.StatRequest(digest="../../etc/passwd"))


async def test_a_url_comes_with_its_end(tmp_path: Path) -> None:
    ends = datetime(2030, 1, 1, tzinfo=UTC)

    class UrlStore(FolderStore):
        def locate(self, digest: str) -> Location:
            return Location(size=4, url="http://bucket/blob", expires_at=ends)

    store = UrlStore(tmp_path)
    async with serving_blobs(store, f"unix:{tmp_path}/blob.sock") as blobs:
        located = await blobs.Locate(blob_pb2.LocateRequest(digest=UNKNOWN))
    assert located.url == "http://bucket/blob"
    assert located.expires_at.ToDatetime(UTC) == ends


async def test_many_small_blobs_are_read_at_once(blobs: Blobs) -> None:
    contents = {await put(blobs, content): content for content in (b"", b"one", b"three", b"11")}
    large = await put(blobs, b"larger")
    request = blob_pb2.ReadManyRequest(digests=[*contents, large, UNKNOWN], largest=5)
    responses = [response async for response in blobs.ReadMany(request)]
    read = {blob.digest: blob.content for response in responses for blob in response.blobs}
    assert read == contents


@pytest.mark.parametrize("request_", [
    blob_pb2.ReadManyRequest(digests=[UNKNOWN] * 1001, largest=5),
    blob_pb2.ReadManyRequest(digests=[UNKNOWN], largest=65 * 1024),
])  # fmt: skip
async def test_no_more_is_read_at_once_than_fits_into_memory(
    blobs: Blobs, request_: blob_pb2.ReadManyRequest
) -> None:
    with pytest.raises(InvalidRequest, match="at most 1000 blobs"), rpc_errors():
        async for _ in blobs.ReadMany(request_):
            pass
