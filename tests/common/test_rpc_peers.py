"""Peers that are several, that come and go, and that fall silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from common.errors import Interrupted, InvalidRequest
from common.rpc import open_channel, rpc_errors
from common.server import Server
from protos.paddock.v1 import inference_pb2, inference_pb2_grpc, sequences_pb2
from tests.servers.faulty_proxy import running_proxy

SERVICE = "paddock.v1.InferenceService"


class Named(inference_pb2_grpc.InferenceServiceServicer):
    """Answers with its name, or for ever."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def ListRunning(
        self, request: inference_pb2.ListRunningRequest, context: Any
    ) -> inference_pb2.ListRunningResponse:
        return inference_pb2.ListRunningResponse(
            models=[inference_pb2.RunningModel(worker=self.name)]
        )

    async def Run(
        self, request_iterator: AsyncIterator[inference_pb2.GenerateCommands], context: Any
    ) -> AsyncIterator[sequences_pb2.RunResponse]:
        yield sequences_pb2.RunResponse()
        await asyncio.Event().wait()


@asynccontextmanager
async def peer(name: str, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    server = Server()
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(Named(name), server.grpc)  # type: ignore[abstract]
    yield await server.start(address, SERVICE)
    await server.stop(0)


async def names(stub: Any, calls: int) -> list[str]:
    answers = [await stub.ListRunning(inference_pb2.ListRunningRequest()) for _ in range(calls)]
    return [answer.models[0].worker for answer in answers]


async def until_all_answer(stub: Any, wanted: set[str]) -> None:
    async with asyncio.timeout(10):
        while set(await names(stub, 4)) != wanted:
            await asyncio.sleep(0.05)


async def test_calls_take_turns_among_peers() -> None:
    async with (
        peer("a") as first,
        peer("b") as second,
        open_channel(f"{first}, {second}") as channel,
    ):
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        await until_all_answer(stub, {"a", "b"})
        assert sorted(await names(stub, 6)) == ["a"] * 3 + ["b"] * 3


async def test_without_retries_all_calls_go_to_one_peer_while_it_lives() -> None:
    async with peer("a") as first:
        async with peer("b") as second:
            channel = open_channel(f"{second},{first}", retry=False)
            stub = inference_pb2_grpc.InferenceServiceStub(channel)
            assert await names(stub, 4) == ["b"] * 4
        await until_all_answer(stub, {"a"})
    await channel.close()


async def test_a_peer_that_is_gone_is_passed_over_and_found_again() -> None:
    async with peer("a") as first:
        async with peer("b") as second:
            channel = open_channel(f"{first},{second}")
            stub = inference_pb2_grpc.InferenceServiceStub(channel)
            await until_all_answer(stub, {"a", "b"})
        assert set(await names(stub, 4)) == {"a"}
        async with peer("c", second):
            await until_all_answer(stub, {"a", "c"})
    await channel.close()


@pytest.mark.parametrize("address", ["a.example:1,b.example:2", "127.0.0.1:1,[::1]:2", "unix:/a,b"])
async def test_a_list_that_cannot_be_used_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="a list of addresses"):
        open_channel(address)


async def test_a_list_of_ipv6_addresses() -> None:
    async with (
        peer("a", "[::1]:0") as first,
        peer("b", "[::1]:0") as second,
        open_channel(f"{first},{second}") as channel,
    ):
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        await until_all_answer(stub, {"a", "b"})


async def generating(channel: grpc.aio.Channel) -> Any:
    """Begin a stream that never ends by itself."""
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    events = aiter(stub.Run())
    await anext(events)
    return events


async def test_what_a_peer_leaves_unfinished_is_interrupted(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/peer"
    async with open_channel(address, retry=False) as channel:
        async with peer("a", address):
            events = await generating(channel)
        with pytest.raises(Interrupted, match="try again"), rpc_errors():
            await anext(events)


async def test_a_stream_of_requests_that_is_cut_is_not_made_again() -> None:
    """gRPC would lose requests that are written meanwhile."""
    async with (
        peer("a") as upstream,
        running_proxy(upstream) as proxy,
        open_channel(proxy.host) as channel,
    ):
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        await until_all_answer(stub, {"a"})
        proxy.cut_after(1)
        with pytest.raises(Interrupted), rpc_errors():
            await anext(aiter(stub.Run()))
        await until_all_answer(stub, {"a"})
        assert proxy.cuts == 1


async def test_a_peer_that_falls_silent_is_given_up_within_seconds() -> None:
    async with (
        peer("a") as upstream,
        running_proxy(upstream) as proxy,
        open_channel(proxy.host, retry=False) as channel,
    ):
        events = await generating(channel)
        proxy.hold_after(0)
        with pytest.raises(Interrupted), rpc_errors():
            await asyncio.wait_for(anext(events), 15)


async def test_health_is_told_again_when_it_changes() -> None:
    server = Server()
    address = await server.start("127.0.0.1:0", SERVICE)
    async with open_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        states = aiter(stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE)))
        assert (await anext(states)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await server.set_serving(True)
        assert (await anext(states)).status == health_pb2.HealthCheckResponse.SERVING
    await server.stop(0)
