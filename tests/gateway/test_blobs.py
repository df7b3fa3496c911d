"""`/api/blobs/:digest`: uploads, whole, wrong, broken off, and not needed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from common.errors import StoreFull
from tests.gateway.conftest import MAX_BODY, World

CONTENT = bytes(range(256)) * 20_000


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


DIGEST = digest_of(CONTENT)


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


async def post(world: World, digest: str, body: bytes | AsyncIterator[bytes]) -> tuple[int, str]:
    async with world.http.post(f"/api/blobs/{digest}", data=body) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_new_blob_is_stored_in_pieces(world: World, chunked: bool) -> None:
    assert len(CONTENT) > MAX_BODY
    body = pieces(CONTENT) if chunked else CONTENT
    assert await post(world, DIGEST, body) == (201, "")
    assert world.backend.blobs.stored == {DIGEST: CONTENT}
    assert max(world.backend.blobs.parts) < 2 * 1024 * 1024


async def test_an_empty_blob(world: World) -> None:
    assert await post(world, digest_of(b""), b"") == (201, "")


async def test_the_other_spelling_of_a_digest(world: World) -> None:
    spelled = DIGEST.upper().replace("SHA256:", "sha256-")
    assert await post(world, spelled, CONTENT) == (201, "")
    assert DIGEST in world.backend.blobs.stored


async def test_a_blob_with_another_digest_is_refused(world: World) -> None:
    wrong = digest_of(b"other")
    status, text = await post(world, wrong, CONTENT)
    assert status == 400
    assert "digest mismatch, expected" in text
    assert not world.backend.blobs.stored


@pytest.mark.parametrize("method", ["HEAD", "POST"])
@pytest.mark.parametrize("digest", ["sha256:1", "md5:" + "a" * 64, "sha256:" + "g" * 64, "x"])
async def test_what_is_no_digest_is_400(world: World, digest: str, method: str) -> None:
    async with world.http.request(method, f"/api/blobs/{digest}") as response:
        assert response.status == 400


async def test_head_tells_what_is_stored(world: World) -> None:
    async with world.http.head(f"/api/blobs/{DIGEST}") as response:
        assert response.status == 404
    world.backend.blobs.stored[DIGEST] = CONTENT
    async with world.http.head(f"/api/blobs/{DIGEST}") as response:
        assert response.status == 200


async def test_a_stored_blob_is_answered_before_its_body_comes(world: World) -> None:
    world.backend.blobs.stored[DIGEST] = CONTENT
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(f"POST /api/blobs/{DIGEST} HTTP/1.1\r\nHost: localhost\r\n".encode())
    writer.write(b"Content-Length: 1000000000000\r\n\r\nabc")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    assert b" 200 OK" in head
    assert b"Connection: close" in head
    writer.close()


async def test_a_stored_blob_is_not_mistaken_for_the_next_request(world: World) -> None:
    world.backend.blobs.stored[DIGEST] = CONTENT
    for _ in range(3):
        assert (await post(world, DIGEST, CONTENT))[0] == 200
        assert world.backend.blobs.retained.pop() == DIGEST
        async with world.http.get("/api/version") as response:
            assert response.status == 200
    assert not world.backend.blobs.parts


@pytest.mark.parametrize("stored", [True, False])
async def test_a_client_that_expects_continue_is_told_when_to_send(
    world: World, stored: bool
) -> None:
    if stored:
        world.backend.blobs.stored[DIGEST] = CONTENT
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    head = (
        f"POST /api/blobs/{DIGEST} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Length: {len(CONTENT)}\r\nExpect: 100-continue\r\n\r\n"
    )
    writer.write(head.encode())
    first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    if stored:
        assert b" 200 " in first
    else:
        assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(CONTENT)
        assert b" 201 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    writer.close()


async def test_a_blob_that_somebody_else_stored_meanwhile(world: World) -> None:
    world.backend.blobs.somebody_else_was_faster = True
    assert await post(world, DIGEST, CONTENT) == (200, "")


async def test_a_full_disk_is_507_however_fast_the_upload(world: World) -> None:
    world.backend.blobs.fail_write = StoreFull("the store is full")
    uploads = (post(world, DIGEST, CONTENT * 4) for _ in range(40))
    answers = await asyncio.gather(*uploads)
    assert set(answers) == {(507, '{"error":"the store is full"}')}


async def test_an_upload_that_breaks_off_leaves_nothing(world: World) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", world.port)
    head = f"POST /api/blobs/{DIGEST} HTTP/1.1\r\nHost: localhost\r\n"
    writer.write(f"{head}Content-Length: {len(CONTENT)}\r\n\r\n".encode())
    writer.write(CONTENT[:3_000_000])
    await writer.drain()
    async with asyncio.timeout(5):
        while not world.backend.blobs.received:
            await asyncio.sleep(0.01)
    writer.close()
    await asyncio.wait_for(world.backend.blobs.ended.wait(), 2)
    assert not world.backend.blobs.stored


async def test_an_upload_waits_for_a_store_that_is_slow(world: World) -> None:
    world.backend.blobs.reading.clear()
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1_000_000
            yield bytes(1_000_000)

    upload = asyncio.create_task(post(world, DIGEST, endless()))
    seen = -1
    async with asyncio.timeout(20):
        while seen != sent or not sent:
            seen = sent
            await asyncio.sleep(0.3)
    assert sent < 60_000_000
    upload.cancel()
    world.backend.blobs.reading.set()
    await asyncio.wait_for(world.backend.blobs.ended.wait(), 2)
    assert not world.backend.blobs.stored


async def test_a_service_that_goes_away_during_an_upload_is_503(world: World) -> None:
    world.backend.blobs.reading.clear()
    upload = asyncio.create_task(post(world, DIGEST, CONTENT))
    await asyncio.sleep(0.2)
    await world.backend.server.stop(0)
    status, _ = await asyncio.wait_for(upload, 5)
    assert status == 503
