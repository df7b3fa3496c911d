"""A cluster of real processes on loopback, each of which a test may kill and start again.

Every process keeps its address, so that the others find it again. On the way from the clients
of one kind to the servers of another a proxy can stand for a bad network.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from cli.child import Child, ChildSpec
from cli.demo import install_demo
from cli.main import DEMO_MODEL
from common.rpc import is_serving
from tests.integration.node import Node, free_port, url_of
from tests.servers.network_proxy import NetworkProxy, running_network

SIMULATED = (
    *("--engine", "simulated"),
    *("--simulated-load-time", "200ms"),
    *("--simulated-answer-length", "120"),
)
"""Flags of workers that compute nothing."""

LINKS = (
    "gateway-inference",
    "gateway-registry",
    "gateway-blob",
    "inference-registry",
    "inference-worker",
    "worker-blob",
    "registry-blob",
)
"""Who calls whom."""


@dataclass(frozen=True)
class Shape:
    """How many processes of each kind there are, and what they are started with."""

    gateways: int = 1
    routers: int = 1
    workers: int = 1
    faulty: Sequence[str] = ()
    """The links, of `LINKS`, on which proxies stand."""
    gateway_flags: Sequence[str] = ()
    router_flags: Sequence[str] = ()
    worker_flags: Sequence[str] = SIMULATED


@dataclass
class Cluster:
    """The processes, by kind, and the proxies, by link."""

    folder: Path
    blob: Node
    registry: Node
    workers: list[Node]
    routers: list[Node]
    gateways: list[Node]
    networks: dict[str, list[NetworkProxy]] = field(default_factory=dict)

    @property
    def nodes(self) -> list[Node]:
        """All, in the order in which each needs only those before it."""
        return [self.blob, self.registry, *self.workers, *self.routers, *self.gateways]

    async def repair(self) -> None:
        """Start what does not run, and let the networks be good."""
        for network in itertools.chain.from_iterable(self.networks.values()):
            network.heal()
        missing = [node for node in self.nodes if not node.is_up]
        for node in missing:
            await node.start()
        for node in self.nodes:
            await node.ready()

    @property
    def urls(self) -> list[str]:
        """Where the gateways answer."""
        return [url_of(gateway) for gateway in self.gateways]

    async def get(self, path: str, gateway: int = 0) -> Any:
        """Get JSON from a gateway."""
        async with aiohttp.ClientSession() as session:
            return await get_json(session, self.urls[gateway] + path)

    async def post(self, path: str, body: Any, gateway: int = 0) -> Any:
        """Post JSON to a gateway; give its JSON."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.urls[gateway] + path, json=body) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def busiest(self) -> Node:
        """Find the worker that runs most sequences."""
        models = (await self.get("/api/ps"))["models"]
        busiest = max(models, key=lambda model: model["requests"]["running"])
        assert busiest["requests"]["running"], "no worker is at work"
        return self.worker(busiest["worker"])

    def worker(self, name: str) -> Node:
        """Find a worker by the name that `/api/ps` gives it."""
        pid = int(name.rsplit("-", 2)[1])
        return next(worker for worker in self.workers if worker.pid == pid)


@asynccontextmanager
async def running_cluster(folder: Path, store: Path, shape: Shape) -> AsyncIterator[Cluster]:
    """Start a cluster over a store with the demo model, and end all of it.

    The processes' logs lie in `folder`.
    """
    async with AsyncExitStack() as stack:
        lifeline = stack.enter_context(_lifeline())
        cluster = await _Builder(folder, store, shape, lifeline, stack).build()
        for node in cluster.nodes:
            stack.push_async_callback(node.end)
            await node.start()
        for node in cluster.nodes:
            await node.ready()
        yield cluster


async def make_store(folder: Path) -> Path:
    """Make a store with the demo model in it."""
    store = folder / "store"
    if not store.exists():
        async with running_cluster(folder / "maker", store, Shape(workers=0)) as cluster:
            await install_demo(cluster.urls[0], DEMO_MODEL)
    return store


async def until(condition: Callable[[], Awaitable[object]], timeout: float = 30.0) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not in time.
    """
    async with asyncio.timeout(timeout):
        while not await condition():
            await asyncio.sleep(0.05)


async def get_json(session: aiohttp.ClientSession, url: str) -> Any:
    """Get JSON; fail on any other reply."""
    async with session.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


class _Builder:
    """Lays out a cluster: who listens where, and who calls whom over which proxy."""

    def __init__(
        self, folder: Path, store: Path, shape: Shape, lifeline: int, stack: AsyncExitStack
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._store = store
        self._shape = shape
        self._lifeline = lifeline
        self._stack = stack
        self._networks: dict[str, list[NetworkProxy]] = {}

    async def build(self) -> Cluster:
        """Lay out all processes, and start the proxies."""
        shape = self._shape
        blob = self._node("blob", "services.blob", "--store", str(self._store))
        registry = self._node(
            "registry", "services.registry", "--blob", await self._way("registry", [blob])
        )
        workers = [await self._worker(number, blob) for number in range(shape.workers)]
        routers = [
            self._node(
                f"inference-{number}",
                "services.inference",
                *("--registry", await self._way("inference", [registry])),
                *("--worker-addresses", await self._way("inference", workers)),
                *shape.router_flags,
            )
            for number in range(shape.routers)
        ]
        gateways = [
            self._gateway(
                f"gateway-{number}",
                *("--blob", await self._way("gateway", [blob])),
                *("--registry", await self._way("gateway", [registry])),
                *("--inference", await self._way("gateway", routers)),
                *shape.gateway_flags,
            )
            for number in range(shape.gateways)
        ]
        return Cluster(self._folder, blob, registry, workers, routers, gateways, self._networks)

    async def _way(self, client: str, servers: list[Node]) -> str:
        """Give the addresses at which a kind of clients finds servers."""
        link = f"{client}-{_kind(servers[0])}" if servers else ""
        if link not in self._shape.faulty:
            return ",".join(server.address for server in servers)
        if link not in self._networks:
            self._networks[link] = [
                await self._stack.enter_async_context(running_network(server.address))
                for server in servers
            ]
        return ",".join(network.address for network in self._networks[link])

    async def _worker(self, number: int, blob: Node) -> Node:
        cache = self._folder / f"cache-{number}"
        flags = ("--blob", await self._way("worker", [blob]), "--cache", str(cache))
        name = f"worker-{number}"
        return self._node(name, "workers", *flags, *self._shape.worker_flags, cache=cache)

    def _node(self, name: str, module: str, *flags: str, cache: Path | None = None) -> Node:
        address = f"127.0.0.1:{free_port()}"
        arguments = ("-m", module, "--listen", address, *flags)
        return self._make(name, arguments, lambda: is_serving(address), address, cache)

    def _gateway(self, name: str, *flags: str) -> Node:
        address = f"127.0.0.1:{free_port()}"
        arguments = ("-m", "gateway", "--host", address, *flags)
        return self._make(name, arguments, lambda: _answers(f"http://{address}/healthz"), address)

    def _make(
        self,
        name: str,
        arguments: tuple[str, ...],
        is_ready: Callable[[], Awaitable[bool]],
        address: str,
        cache: Path | None = None,
    ) -> Node:
        spec = ChildSpec(name, arguments, is_ready)
        log = self._folder / f"{name}.log"
        return Node(Child(spec, log, self._lifeline, print), address, cache)


def _kind(node: Node) -> str:
    return node.name.partition("-")[0]


async def _answers(url: str) -> bool:
    timeout = aiohttp.ClientTimeout(total=1)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url) as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


@contextmanager
def _lifeline() -> Iterator[int]:
    """Give the read end of a pipe that closes when this process is gone."""
    read_end, write_end = os.pipe()
    try:
        yield read_end
    finally:
        os.close(read_end)
        os.close(write_end)
