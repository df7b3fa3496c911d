"""Probes of a container: how they are asked, and what their answers come to."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.k8s.manifests import Object


@dataclass
class Verdict:
    """What the answers so far come to: yes or no after so many in a row, with the API's defaults.

    None: neither yet.
    """

    probe: Object
    holds: bool | None = None
    _last: bool | None = None
    _row: int = 0

    def take(self, answer: bool) -> bool | None:
        """Take an answer."""
        self._row = self._row + 1 if answer == self._last else 1
        self._last = answer
        wanted = ("successThreshold", 1) if answer else ("failureThreshold", 3)
        if self._row >= self.probe.get(*wanted):
            self.holds = answer
        return self.holds


async def pause(probe: Object) -> None:
    """Wait until it is time to ask again."""
    await asyncio.sleep(probe.get("periodSeconds", 10))


async def ask(probe: Object, address: str, ports: Mapping[str, int]) -> bool:
    """Ask once, at a pod's address, with the probe's own timeout."""
    timeout = probe.get("timeoutSeconds", 1)
    if "grpc" in probe:
        service = probe["grpc"].get("service", "")
        return await _ask_grpc(f"{address}:{probe['grpc']['port']}", service, timeout)
    path, port = probe["httpGet"]["path"], probe["httpGet"]["port"]
    return await _ask_http(f"http://{address}:{ports.get(port, port)}{path}", timeout)


async def _ask_grpc(address: str, service: str, timeout: float) -> bool:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            request = health_pb2.HealthCheckRequest(service=service)
            answer = await stub.Check(request, timeout=timeout)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _ask_http(url: str, timeout: float) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session,
            session.get(url) as answer,
        ):
            return answer.status < 400
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
