"""Paddock's processes as measurements want them: any number of each, over simulated workers."""

import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from bench.simulated_cluster import addresses
from cli.demo import install_demo
from common.process import LIFELINE_VARIABLE
from common.rpc import is_serving, open_channel
from protos.paddock.v1 import registry_pb2, registry_pb2_grpc, worker_pb2, worker_pb2_grpc
from tests.integration.suite import free_port

MODEL = "demo"
_DEMO = Path(__file__).parent.parent / "examples" / "demo_model" / "model"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class Processes:
    """Starts Python modules, waits until they serve, and ends them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        # However this process ends, the kernel closes this end, and those at the other leave.
        self._lifeline, self._held_end = os.pipe()

    def start(
        self, module: str, *flags: str, ready: Callable[[], bool], **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start one and wait until it is ready; its output goes into a log of its own."""
        name = f"{module}-{len(self._running)}"
        log_file = self._folder / f"{name}.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *flags],
                env=os.environ | environment | {LIFELINE_VARIABLE: str(self._lifeline)},
                pass_fds=(self._lifeline,),
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._running.append(process)
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start:\n{log_file.read_text()}")
            time.sleep(0.05)
        return process

    def stop(self) -> None:
        """End all, the last one first."""
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            process.kill()
            process.wait()
        os.close(self._lifeline)
        os.close(self._held_end)


@dataclass
class Cluster:
    """A running one."""

    urls: Sequence[str]
    """Of the gateways."""
    workers: Sequence[str]
    """The workers' addresses."""
    registry: str
    routers: Sequence[psutil.Process]
    counts: dict[str, int] = field(default_factory=dict)
    """What the simulated engines computed, once the cluster has ended."""


@contextmanager
def running_cluster(
    root: Path,
    *,
    workers: int,
    routers: int = 1,
    gateways: int = 1,
    simulated: bool = True,
    settings: Mapping[str, str] | None = None,
    store: str = "",
) -> Iterator[Cluster]:
    """Run one with the demo model, loaded by each of its workers.

    `settings` are variables for all of its processes, without the prefix; `store` is where
    models are kept, a folder below `root` where it is not given.
    """
    root.mkdir(parents=True, exist_ok=True)
    environment = {f"PADDOCK_{name}": value for name, value in (settings or {}).items()}
    processes = Processes(root)
    blob, registry = f"unix:{root}/blob.sock", f"unix:{root}/registry.sock"

    def start(module: str, address: str, *flags: str) -> subprocess.Popen[bytes]:
        return processes.start(
            module,
            "--listen",
            address,
            *flags,
            ready=lambda: asyncio.run(is_serving(address)),
            **environment,
        )

    try:
        start("services.blob", blob, "--store", store or str(root / "store"))
        start("services.registry", registry, "--blob", blob)
        held = addresses(f"unix:{root}/worker.sock", workers)
        files = ("--blob", blob, "--cache", str(root / "cache"))
        host: subprocess.Popen[bytes] | None = None
        if simulated:
            host = processes.start(
                "bench.simulated_cluster",
                *("--listen", f"unix:{root}/worker.sock", "--workers", str(workers), *files),
                ready=lambda: asyncio.run(is_serving(held[0])),
                **environment,
            )
        else:
            for address in held:
                start("workers", address, *files)
        at = [f"unix:{root}/inference-{number}.sock" for number in range(routers)]
        flags = ("--registry", registry, "--worker-addresses", ",".join(held))
        inference = [start("services.inference", address, *flags) for address in at]
        urls = [
            _start_gateway(processes, blob, registry, at[number % routers], environment)
            for number in range(gateways)
        ]
        asyncio.run(install_demo(urls[0], _DEMO))
        asyncio.run(_load(registry, held))
        cluster = Cluster(urls, held, registry, [psutil.Process(each.pid) for each in inference])
        yield cluster
    finally:
        processes.stop()
    if host and host.stdout:
        cluster.counts = json.loads(host.stdout.read().splitlines()[-1])


def _start_gateway(
    processes: Processes,
    blob: str,
    registry: str,
    inference: str,
    environment: Mapping[str, str],
) -> str:
    host = f"127.0.0.1:{free_port()}"
    processes.start(
        "gateway",
        *("--host", host, "--blob", blob, "--registry", registry, "--inference", inference),
        ready=lambda: answers(f"http://{host}/readyz"),
        **environment,
    )
    return f"http://{host}"


def answers(url: str) -> bool:
    """Tell whether a GET of this is answered with 200."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=1)
    try:
        connection.request("GET", where.path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


async def _load(registry: str, workers: Sequence[str]) -> None:
    """Load the model on every worker, to stay there."""
    async with open_channel(registry) as channel:
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        model = await stub.Resolve(registry_pb2.ResolveRequest(model=MODEL))
    request = worker_pb2.LoadModelRequest(spec=model.spec, keep_alive=-1)

    async def load(address: str) -> None:
        async with open_channel(address) as channel:
            async for _ in worker_pb2_grpc.WorkerServiceStub(channel).Load(request):
                pass

    async with asyncio.TaskGroup() as group:
        for address in workers:
            group.create_task(load(address))
