"""One process of a cluster, which may be killed and started again at its address."""

import asyncio
import itertools
import math
import random
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cli.child import Child

_START_TIMEOUT = 60.0  # seconds
_EXIT_TIMEOUT = 60.0
# Below the ports that the kernel gives to clients.
_PORTS = range(12_000, 32_000)


class Gateway(Protocol):
    """Where clients ask: a process, or what stands before several."""

    address: str

    @property
    def name(self) -> str:
        """What to call it."""

    def was_killed(self, since: float) -> bool:
        """Tell whether connections may have broken after a time on the monotonic clock."""


class Node:
    """One process of a cluster."""

    def __init__(self, child: Child, address: str, cache: Path | None = None) -> None:
        self._child = child
        self.address = address
        """Where it listens, as `host:port`."""
        self.cache = cache
        """A worker's folder of files."""
        self._killed_until = -math.inf

    @property
    def name(self) -> str:
        """Its kind and number."""
        return self._child.spec.name

    @property
    def pid(self) -> int:
        """The process as it is now."""
        return self._process.pid

    @property
    def is_up(self) -> bool:
        """Whether it runs, ready or not."""
        return self._child.process is not None and self._process.returncode is None

    def was_killed(self, since: float) -> bool:
        """Tell whether it was killed after a time on the monotonic clock, or was dying by then."""
        return self._killed_until >= since

    async def start(self) -> None:
        """Start the process; see `ready`."""
        await self._child.start()

    async def ready(self) -> None:
        """Wait until it takes work.

        Raises:
            AssertionError: it ended, or takes too long.
        """
        async with asyncio.timeout(_START_TIMEOUT):
            assert await self._child.ready(), f"{self.name} did not start; see {self._child.log}"

    async def kill(self) -> None:
        """End it with SIGKILL."""
        self._killed_until = math.inf
        self._process.kill()
        await self._process.wait()
        self._killed_until = time.monotonic()

    async def terminate(self) -> None:
        """Ask it with SIGTERM to leave, and wait until it has.

        Raises:
            AssertionError: it failed.
        """
        self._process.terminate()
        async with asyncio.timeout(_EXIT_TIMEOUT):
            status = await self._process.wait()
        assert status == 0, f"{self.name} ended with status {status}; see {self._child.log}"

    async def restart(self) -> None:
        """Start it again, with empty hands, and wait until it takes work."""
        if self.cache:
            await asyncio.to_thread(shutil.rmtree, self.cache, ignore_errors=True)
        await self.start()
        await self.ready()

    async def end(self) -> None:
        """End it, and whatever it started, however it is."""
        if self._child.process:
            self._child.kill()
            await self._process.wait()

    @property
    def _process(self) -> asyncio.subprocess.Process:
        assert self._child.process
        return self._child.process


def url_of(gateway: Gateway) -> str:
    """Give the URL of a gateway's REST API."""
    return f"http://{gateway.address}"


def _make_ports() -> Iterator[int]:
    for port in itertools.cycle(random.sample(_PORTS, len(_PORTS))):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


_FREE_PORTS = _make_ports()


def free_port() -> int:
    """Give a port of the loopback interface that nobody will take while its process is away."""
    return next(_FREE_PORTS)
