"""The name server of the cluster: it answers for the Services' names.

An answer is repeated for some time, whatever has become of it, as by the cache that Kubernetes puts
on the nodes (NodeLocal DNSCache) and by CoreDNS itself in many clusters.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

from dnslib import QTYPE, RCODE, RR, A, DNSRecord  # type: ignore[import-untyped]

CACHED = 30.0
"""Seconds for which an answer is repeated."""

CACHED_DENIAL = 5.0
"""Seconds for which it is repeated that there is no such name."""

Records = Mapping[str, tuple[str, ...]]
"""Addresses by name, as they are now."""


class Answers:
    """Remembers what was said of a name for some time."""

    def __init__(self, records: Callable[[], Records]) -> None:
        self._records = records
        self._said: dict[str, tuple[float, tuple[str, ...]]] = {}

    def find(self, name: str, now: float) -> tuple[str, ...]:
        """Give the addresses of a name, perhaps those of some time ago; none: it does not exist."""
        until, addresses = self._said.get(name, (0.0, ()))
        if now >= until:
            addresses = self._records().get(name, ())
            until = now + (CACHED if addresses else CACHED_DENIAL)
            self._said[name] = (until, addresses)
        return addresses


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transport is derived from that class.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = DNSRecord.parse(data)
        name = str(query.q.qname).rstrip(".").lower()
        found = self._answers.find(name, time.monotonic())
        reply = query.reply()
        if not found:
            reply.header.rcode = RCODE.NXDOMAIN
        elif query.q.qtype == QTYPE.A:
            for address in found:
                reply.add_answer(RR(query.q.qname, QTYPE.A, rdata=A(address), ttl=5))
        self._transport.sendto(reply.pack(), addr)


@asynccontextmanager
async def serving_names(address: str, records: Callable[[], Records]) -> AsyncIterator[None]:
    """Answer at port 53 of an address."""
    loop = asyncio.get_running_loop()
    answers = Answers(records)
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Protocol(answers), local_addr=(address, 53)
    )
    try:
        yield
    finally:
        transport.close()
