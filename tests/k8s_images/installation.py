"""Paddock's processes in their images, with what the manifests say of each."""

import asyncio
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from common.rpc import open_channel
from common.server import LIVE
from tests.integration.node import free_port
from tests.k8s.manifests import Container
from tests.k8s_images.container import Contained, Image, running

PROCESSES = ("blob", "registry", "inference", "worker", "gateway")
_STORE = "/var/lib/paddock/models"
_START_TIMEOUT = 90.0


class Installation:
    """One process of each kind, on loopback addresses; its volumes are in a folder."""

    def __init__(
        self, images: Mapping[str, Image], containers: Mapping[str, Container], folder: Path
    ) -> None:
        self._images = images
        self._containers = containers
        self._folder = folder
        self._addresses = {name: f"127.0.0.1:{free_port()}" for name in PROCESSES}
        self._probes = {name: f"127.0.0.1:{free_port()}" for name in PROCESSES}

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://{self._addresses['gateway']}"

    @contextmanager
    def started(self, name: str, variables: Mapping[str, str]) -> Iterator[Contained]:
        """Run a process with its manifest's arguments, variables and volumes, and some more."""
        container = self._containers[name]
        mounts = {mount["name"]: mount["mountPath"] for mount in container.spec["volumeMounts"]}
        kept = {self._folder / volume: mounts[volume] for volume in mounts.keys() - {"tmp", "shm"}}
        kept[self._folder / "models"] = _STORE  # also where the manifest has a bucket
        with running(
            self._images[name],
            container.spec["args"],
            {**container.values, **self._variables(name), **variables},
            kept,
            self._folder / f"{name}.log",
        ) as process:
            yield process

    def _variables(self, name: str) -> dict[str, str]:
        return {
            "PADDOCK_LISTEN": self._addresses[name],
            "PADDOCK_HOST": self._addresses["gateway"],
            "PADDOCK_PROBES": self._probes[name],
            "PADDOCK_METRICS": f"127.0.0.1:{free_port()}",
            "PADDOCK_STORE": _STORE,
            "PADDOCK_BLOB": self._addresses["blob"],
            "PADDOCK_REGISTRY": self._addresses["registry"],
            "PADDOCK_INFERENCE": self._addresses["inference"],
            "PADDOCK_WORKER_ADDRESSES": self._addresses["worker"],
            "PADDOCK_DRAIN_DELAY": "0s",
        }

    async def until_live(self, name: str, process: Contained) -> None:
        """Wait until a process says that it is alive.

        Raises:
            AssertionError: it ended, or takes too long.
        """
        if name == "gateway":
            return await self.until_found("/healthz", process)
        return await _until(process, lambda: _serves(self._probes[name], LIVE))

    async def until_found(self, path: str, gateway: Contained) -> None:
        """Wait until the gateway answers a request as if all were well."""
        await _until(gateway, lambda: asyncio.to_thread(_is_found, self.url + path))


async def _until(process: Contained, condition: Any) -> None:
    deadline = asyncio.get_running_loop().time() + _START_TIMEOUT
    while not await condition():
        in_time = asyncio.get_running_loop().time() < deadline
        assert in_time, process.log.read_text()
        assert not process.has_ended, process.log.read_text()
        await asyncio.sleep(0.1)


async def _serves(address: str, service: str) -> bool:
    """Ask as a probe of Kubernetes does."""
    async with open_channel(address, retry=False) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=1)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _is_found(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False
