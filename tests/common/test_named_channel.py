"""Channels to names that are not known yet, and a real name server that learns of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from dnslib import QTYPE, RCODE, RR, A, DNSRecord  # type: ignore[import-untyped]

from common.errors import Unavailable
from common.named_channel import NamedChannel
from common.rpc import open_channel, rpc_errors
from common.server import Server
from protos.paddock.v1 import inference_pb2, inference_pb2_grpc, sequences_pb2
from tests.common.test_rpc_peers import SERVICE, Named, generating, names, peer


class NameServer(asyncio.DatagramProtocol):
    """Knows no name at first."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.queries = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = DNSRecord.parse(data)
        reply = query.reply()
        if query.q.qtype == QTYPE.A:
            self.queries += 1
            for address in self.addresses:
                reply.add_answer(RR(query.q.qname, QTYPE.A, rdata=A(address), ttl=5))
        if not self.addresses:
            reply.header.rcode = RCODE.NXDOMAIN
        self._transport.sendto(reply.pack(), addr)


@asynccontextmanager
async def name_server() -> AsyncIterator[tuple[NameServer, str]]:
    """Run one; give also the beginning of a target that is looked up there."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")
    yield server, f"dns://{host}:{port}"
    transport.close()


async def test_a_name_that_appears_late_is_found_soon() -> None:
    async with (
        name_server() as (server, target),
        peer("a") as address,
        open_channel(f"{target}/late.test:{address.rpartition(':')[2]}") as channel,
    ):
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        # By itself gRPC would ask for the seventh time after half a minute.
        async with asyncio.timeout(15):
            while server.queries < 7:
                with pytest.raises(Unavailable), rpc_errors():
                    await names(stub, 1)
                await asyncio.sleep(0.1)
        server.addresses = ["127.0.0.1"]
        async with asyncio.timeout(10):
            while await answer(stub) != ["a"]:
                await asyncio.sleep(0.1)


async def answer(stub: inference_pb2_grpc.InferenceServiceStub) -> list[str]:
    """Give the name of who answers, if anybody does."""
    try:
        with rpc_errors():
            return await names(stub, 1)
    except Unavailable:
        return []


class Patient(Named):
    """Streams a message at once, and another when it is told to."""

    def __init__(self) -> None:
        super().__init__("patient")
        self.go_on = asyncio.Event()

    async def Run(
        self, request_iterator: AsyncIterator[inference_pb2.GenerateCommands], context: Any
    ) -> AsyncIterator[sequences_pb2.RunResponse]:
        yield sequences_pb2.RunResponse()
        await self.go_on.wait()
        yield sequences_pb2.RunResponse()


async def test_a_stream_outlives_the_channel_that_it_began_on() -> None:
    server, servicer = Server(), Patient()  # type: ignore[abstract]
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server.grpc)
    port = (await server.start("127.0.0.1:0", SERVICE)).rpartition(":")[2]
    async with name_server() as (known, target):
        known.addresses = ["127.0.0.1"]
        async with open_channel(f"{target}/leaving.test:{port}") as channel:
            stub = inference_pb2_grpc.InferenceServiceStub(channel)
            running = await generating(channel)
            leaving = asyncio.create_task(server.stop(grace=30))
            assert isinstance(channel, NamedChannel)
            before = channel.current()
            async with asyncio.timeout(20):
                while channel.current() is before:
                    await answer(stub)
                    await asyncio.sleep(0.1)
            servicer.go_on.set()
            await anext(running)
            with pytest.raises(StopAsyncIteration):
                await anext(running)
    await leaving
