"""Errors, health and draining over a real gRPC connection."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from common.errors import (
    BY_REASON,
    Internal,
    InvalidName,
    PaddockError,
    Unavailable,
    Unsupported,
)
from common.rpc import from_rpc_error, is_serving, open_channel, rpc_errors
from common.server import Server
from protos.paddock.v1 import (
    inference_pb2,
    inference_pb2_grpc,
    registry_pb2,
    registry_pb2_grpc,
    sequences_pb2,
)

SERVICE = "paddock.v1.InferenceService"


class Failing(inference_pb2_grpc.InferenceServiceServicer):
    """Fails as told, at once or in mid-stream."""

    def __init__(self) -> None:
        self.failure: Exception = PaddockError("unset")
        self.calls = 0
        self.release = asyncio.Event()
        self.started = asyncio.Event()
        self.ended = asyncio.Event()

    async def Load(
        self, request: inference_pb2.LoadRequest, context: Any
    ) -> inference_pb2.LoadResponse:
        self.calls += 1
        raise self.failure

    async def Run(
        self, request_iterator: AsyncIterator[inference_pb2.GenerateCommands], context: Any
    ) -> AsyncIterator[sequences_pb2.RunResponse]:
        yield sequences_pb2.RunResponse()
        raise self.failure

    async def ListRunning(
        self, request: inference_pb2.ListRunningRequest, context: Any
    ) -> inference_pb2.ListRunningResponse:
        self.started.set()
        try:
            await self.release.wait()
        finally:
            self.ended.set()
        return inference_pb2.ListRunningResponse()


class Peer:
    """A server, its servicer, and a stub for it."""

    def __init__(self) -> None:
        self.servicer = Failing()  # type: ignore[abstract]
        self.server = Server()
        inference_pb2_grpc.add_InferenceServiceServicer_to_server(self.servicer, self.server.grpc)
        self.address = ""

    async def start(self, address: str) -> None:
        self.address = await self.server.start(address, SERVICE)
        self.channel = open_channel(self.address)
        self.stub = inference_pb2_grpc.InferenceServiceStub(self.channel)


@pytest.fixture(params=["tcp", "unix"])
async def peer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Peer]:
    peer = Peer()
    await peer.start("127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/peer")
    yield peer
    await peer.channel.close()
    await peer.server.stop(0)


@pytest.mark.parametrize("reason", sorted(BY_REASON))
async def test_every_error_crosses_a_call_and_a_stream(peer: Peer, reason: str) -> None:
    kind = BY_REASON[reason]
    peer.servicer.failure = kind("Grüße, 'x' not found")
    with pytest.raises(PaddockError) as unary, rpc_errors():
        await peer.stub.Load(inference_pb2.LoadRequest())
    stream = peer.stub.Run()
    assert await stream.read() == sequences_pb2.RunResponse()
    with pytest.raises(PaddockError) as streaming, rpc_errors():
        await stream.read()
    for caught in (unary, streaming):
        assert type(caught.value) is kind
        assert caught.value.message == "Grüße, 'x' not found"


async def test_an_error_is_passed_on_by_a_servicer_that_calls_another(peer: Peer) -> None:
    call_error = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(),
        details="10.0.0.1 gone",
    )
    peer.servicer.failure = call_error
    with pytest.raises(Unavailable, match="a service is not available"), rpc_errors():
        await peer.stub.Load(inference_pb2.LoadRequest())


@pytest.mark.parametrize("filler", ["x", "é", "\N{GRINNING FACE}"])
async def test_a_long_text_is_cut_rather_than_lost(peer: Peer, filler: str) -> None:
    peer.servicer.failure = InvalidName(f"name {filler * 100_000} is invalid")
    with pytest.raises(InvalidName) as raised, rpc_errors():
        await peer.stub.Load(inference_pb2.LoadRequest())
    assert raised.value.message.startswith(f"name {filler * 300}")
    assert raised.value.message.endswith(f"{filler}…")


async def test_a_defect_is_internal(peer: Peer) -> None:
    peer.servicer.failure = ZeroDivisionError("division by zero")
    with pytest.raises(Internal), rpc_errors():
        await peer.stub.Load(inference_pb2.LoadRequest())


async def test_a_peer_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    async with open_channel(f"unix:{tmp_path}/nobody") as channel:
        stub: Any = inference_pb2_grpc.InferenceServiceStub(channel)
        with pytest.raises(Unavailable), rpc_errors():
            await stub.Load(inference_pb2.LoadRequest())
    assert not await is_serving(f"unix:{tmp_path}/nobody")


async def test_a_service_that_is_not_there_is_unsupported(peer: Peer) -> None:
    stub: Any = registry_pb2_grpc.RegistryServiceStub(peer.channel)
    with pytest.raises(Unsupported), rpc_errors():
        await stub.Copy(registry_pb2.CopyRequest())


async def test_health_follows_the_server(peer: Peer) -> None:
    assert not await is_serving(peer.address)
    stop = asyncio.Event()
    serving = asyncio.create_task(peer.server.serve_until(stop, 1))
    async with asyncio.timeout(5):
        while not await is_serving(peer.address):
            await asyncio.sleep(0.01)
    stop.set()
    await serving
    assert not await is_serving(peer.address)


async def test_a_running_call_finishes_while_the_server_drains(peer: Peer) -> None:
    call = asyncio.ensure_future(peer.stub.ListRunning(inference_pb2.ListRunningRequest()))
    await peer.servicer.started.wait()
    stopping = asyncio.create_task(peer.server.stop(5))
    await asyncio.sleep(0.1)
    assert not stopping.done()
    peer.servicer.release.set()
    await call
    await asyncio.wait_for(stopping, 2)


async def test_canceling_a_call_ends_it_on_the_other_side(peer: Peer) -> None:
    call = asyncio.ensure_future(peer.stub.ListRunning(inference_pb2.ListRunningRequest()))
    await peer.servicer.started.wait()
    call.cancel()
    await asyncio.wait_for(peer.servicer.ended.wait(), 2)


async def test_reflection_lists_the_services(peer: Peer) -> None:
    make_stub: Any = reflection_pb2_grpc.ServerReflectionStub
    stub = make_stub(peer.channel)
    wanted = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([wanted])):
        names = {service.name for service in answer.list_services_response.service}
    assert names == {
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_a_call_outlasts_the_restart_of_its_peer(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/late"
    peer = Peer()
    peer.servicer.release.set()
    async with open_channel(address) as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)

        async def ask() -> inference_pb2.ListRunningResponse:
            return await stub.ListRunning(inference_pb2.ListRunningRequest())

        answer = asyncio.create_task(ask())
        await asyncio.sleep(0.5)
        await peer.start(address)
        assert await answer == inference_pb2.ListRunningResponse()
    await peer.channel.close()
    await peer.server.stop(0)


async def test_what_a_peer_answered_is_final(peer: Peer) -> None:
    peer.servicer.failure = Unavailable("shutting down")
    with pytest.raises(Unavailable, match="shutting down"), rpc_errors():
        await peer.stub.Load(inference_pb2.LoadRequest())
    assert peer.servicer.calls == 1


async def test_a_proxy_for_the_world_outside_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    peer = Peer()
    peer.servicer.release.set()
    await peer.start("127.0.0.1:0")
    await peer.stub.ListRunning(inference_pb2.ListRunningRequest(), timeout=5)
    await peer.channel.close()
    await peer.server.stop(0)


def test_a_peer_that_ends_in_the_middle_of_a_stream_is_unavailable() -> None:
    empty = grpc.aio.Metadata()
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.INTERNAL, empty, empty, details="Internal error from Core"
    )
    assert isinstance(from_rpc_error(error), Unavailable)
