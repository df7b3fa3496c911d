"""Calls that the peer answers before it has taken everything."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from common.client_stream import ClientStream, send_all
from common.errors import (
    DigestMismatch,
    PaddockError,
    StoreFailed,
    StoreFull,
    TooLarge,
    Unavailable,
    UploadMoved,
)
from common.rpc import open_channel
from common.server import Server
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc

Stub: TypeAlias = blob_pb2_grpc.BlobServiceStub

PART = bytes(1024 * 1024)
MANY = 40  # more than a connection holds
AT_ONCE = 8


class Impatient(blob_pb2_grpc.BlobServiceServicer):
    """Answers a write after a few parts of it."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.taken = 3
        self.silent = False

    async def Write(
        self, request_iterator: AsyncIterator[blob_pb2.WriteRequest], context: Any
    ) -> blob_pb2.WriteResponse:
        for _ in range(self.taken):
            await anext(request_iterator, None)
        if self.silent:
            await asyncio.sleep(60)
        if self.failure:
            raise self.failure
        return blob_pb2.WriteResponse(digest="sha256:stored", existed=True)


async def requests(count: int = MANY) -> AsyncGenerator[blob_pb2.WriteRequest, None]:
    for _ in range(count):
        yield blob_pb2.WriteRequest(data=PART)


@pytest.fixture
def servicer() -> Impatient:
    return Impatient()  # type: ignore[abstract]


@pytest.fixture
async def server(servicer: Impatient) -> AsyncIterator[Server]:
    server = Server()
    blob_pb2_grpc.add_BlobServiceServicer_to_server(servicer, server.grpc)
    yield server
    await server.stop(0)


@pytest.fixture(params=["tcp", "unix"])
async def stub(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path
) -> AsyncIterator[Stub]:
    tcp = request.param == "tcp"
    address = await server.start("127.0.0.1:0" if tcp else f"unix:{tmp_path}/peer")
    async with open_channel(address) as channel:
        yield blob_pb2_grpc.BlobServiceStub(channel)


async def outcome(stub: Stub) -> str:
    try:
        return (await send_all(stub.Write(), requests())).digest
    except PaddockError as error:
        return f"{error.reason()}: {error.message}"


async def outcomes(stub: Stub, times: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    for _ in range(times // AT_ONCE):
        counted.update(await asyncio.gather(*(outcome(stub) for _ in range(AT_ONCE))))
    return counted


@pytest.mark.parametrize("kind", [StoreFull, DigestMismatch, TooLarge, UploadMoved, StoreFailed])
async def test_an_early_error_always_arrives(
    stub: Stub, servicer: Impatient, kind: type[PaddockError]
) -> None:
    """A write that waits for room when the call ends hides none of them."""
    servicer.failure = kind("because")
    times = 200 if kind is StoreFull else 40
    assert await outcomes(stub, times) == {f"{kind.reason()}: because": times}


async def test_an_early_success_always_arrives(stub: Stub) -> None:
    assert await outcomes(stub, 200) == {"sha256:stored": 200}


async def test_an_answer_to_all_that_was_sent(stub: Stub) -> None:
    assert (await send_all(stub.Write(), requests(3))).existed


async def test_a_peer_that_goes_away_is_unavailable(
    stub: Stub, servicer: Impatient, server: Server
) -> None:
    servicer.silent = True
    sending = asyncio.create_task(send_all(stub.Write(), requests()))
    await asyncio.sleep(0.2)
    await server.stop(0)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(sending, 5)


async def test_what_is_sent_after_the_answer_is_in_vain(stub: Stub, servicer: Impatient) -> None:
    servicer.taken = 0
    with ClientStream(stub.Write()) as stream:
        async with asyncio.timeout(5):
            while not stream.answered:
                await stream.send(blob_pb2.WriteRequest(data=b"x"))
            await stream.send(blob_pb2.WriteRequest(data=b"x"))
        assert (await stream.finish()).existed


async def test_leaving_cancels_what_is_not_over(stub: Stub, servicer: Impatient) -> None:
    servicer.silent = True
    with ClientStream(call := stub.Write()) as stream:
        await stream.send(blob_pb2.WriteRequest(data=b"x"))
    assert call.cancelled()


async def test_requests_that_cannot_be_had_end_the_call(stub: Stub, servicer: Impatient) -> None:
    servicer.taken = 5

    async def failing() -> AsyncGenerator[blob_pb2.WriteRequest, None]:
        yield blob_pb2.WriteRequest(data=b"x")
        raise TooLarge("no more")

    call = stub.Write()
    with pytest.raises(TooLarge, match="no more"):
        await send_all(call, failing())
    assert call.cancelled()
