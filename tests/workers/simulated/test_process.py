"""`python -m workers --engine simulated` as a process, with the demo model's files."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psutil
import pytest
from aiohttp import ClientSession

from common.rpc import is_serving, open_channel
from protos.paddock.v1 import generation_pb2, model_pb2, worker_pb2, worker_pb2_grpc
from tests.workers.blobs import FolderBlobs, serve_blobs
from tests.workers.harness import Router

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "examples" / "demo_model" / "model"
CAPABILITIES = ["completion", "tools", "thinking", "vision"]
HEAVY = {"torch", "vllm", "transformers", "tokenizers", "gguf"}
MEBIBYTE = 1 << 20


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def metrics() -> str:
    return free_address()


@pytest.fixture
def probes() -> str:
    return free_address()


@pytest.fixture
def token_time() -> str:
    return "1ms"


@pytest.fixture
async def worker(
    tmp_path: Path, metrics: str, probes: str, token_time: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    address = f"unix:{tmp_path}/worker.sock"
    flags = ["--listen", address, "--blob", f"unix:{tmp_path}/blob.sock"]
    simulated = ["--engine", "simulated", "--simulated-load-time", "0s"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers", *flags, *simulated),
        *("--simulated-token-time", token_time, "--cache", f"{tmp_path}/cache"),
        *("--metrics", metrics, "--probes", probes),
        cwd=ROOT,
    )
    async with asyncio.timeout(30):
        while not await is_serving(address):
            await asyncio.sleep(0.05)
    yield process, address
    if process.returncode is None:
        process.kill()
        await process.wait()


def questions() -> list[generation_pb2.Generation]:
    """All that a client may want of a model at once, and a plain question."""
    message = generation_pb2.Message(role="user", content="What is the weather?")
    tool = '{"type": "function", "function": {"name": "weather", "parameters": {}}}'
    chat = generation_pb2.Chat(messages=[message], tools_json=[tool])
    picture = generation_pb2.Message(role="user", content="What is this?", images=[b"picture"])
    return [
        generation_pb2.Generation(chat=chat, think=generation_pb2.THINK_ON),
        generation_pb2.Generation(chat=chat, format=generation_pb2.Format(json=True)),
        generation_pb2.Generation(chat=generation_pb2.Chat(messages=[picture])),
    ]


async def test_the_life_of_a_simulated_worker(
    tmp_path: Path, worker: tuple[asyncio.subprocess.Process, str]
) -> None:
    process, address = worker
    blobs = FolderBlobs()  # type: ignore[abstract]
    server = await serve_blobs(blobs, f"unix:{tmp_path}/blob.sock")
    spec = model_pb2.ModelSpec()
    spec.CopyFrom(blobs.add_model(DEMO, "demo:latest"))
    del spec.capabilities[:]
    spec.capabilities.extend(CAPABILITIES)
    async with open_channel(address) as channel:
        router = Router(worker_pb2_grpc.WorkerServiceStub(channel))
        for number, question in enumerate(questions()):
            router.start(number, spec, question)
        for answer in await router.finish():
            assert answer.completed, answer.failure
            assert len(answer.text) > 10
            assert not answer.thinking
        router.hang_up()
    assert psutil.Process(process.pid).memory_info().rss < 120 * MEBIBYTE
    process.terminate()
    async with asyncio.timeout(20):
        assert await process.wait() == 0
    await server.stop(0)


async def read_metrics(address: str) -> dict[str, float]:
    """Give a worker's own samples, by name and labels as Prometheus writes them."""
    async with ClientSession() as session, session.get(f"http://{address}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("paddock_worker_"))
    return {name.removeprefix("paddock_worker_"): float(value) for name, value in pairs}


@pytest.mark.parametrize("token_time", ["50ms"])
async def test_its_metrics_and_probes(
    tmp_path: Path,
    worker: tuple[asyncio.subprocess.Process, str],
    metrics: str,
    probes: str,
) -> None:
    process, address = worker
    assert await is_serving(probes)
    blobs = FolderBlobs()  # type: ignore[abstract]
    server = await serve_blobs(blobs, f"unix:{tmp_path}/blob.sock")
    spec = blobs.add_model(DEMO, "demo:latest")
    assert (await read_metrics(metrics))["loaded_models"] == 0
    async with open_channel(address) as channel:
        router = Router(worker_pb2_grpc.WorkerServiceStub(channel))
        for number in range(300):  # more than run at once
            router.start(number, spec, questions()[0])
        found: dict[str, float] = {}
        async with asyncio.timeout(10):
            while [
                found.get(f'{state}_sequences{{model="demo:latest"}}')
                for state in ("running", "waiting")
            ] != [256, 300 - 256]:
                found = await read_metrics(metrics)
        router.hang_up()
    await server.stop(0)
    assert 0 < found['kv_cache_usage_ratio{model="demo:latest"}'] <= 1
    assert found["loaded_models"] == found['loads_total{result="OK"}'] == 1
    assert found["load_seconds_count"] == 1
    assert 0 < found["memory_used_bytes"] < found["memory_budget_bytes"]
    process.terminate()
    assert await process.wait() == 0


async def test_an_idle_worker_leaves_at_once(
    worker: tuple[asyncio.subprocess.Process, str],
) -> None:
    """Though routers watch it, and have streams for what it should run."""
    process, address = worker
    async with open_channel(address) as channel:
        stub = worker_pb2_grpc.WorkerServiceStub(channel)
        watch, router = stub.Watch(worker_pb2.WatchRequest()), Router(stub)
        assert isinstance(await watch.read(), worker_pb2.WorkerStatus)
        process.terminate()
        assert not await router.read()
        while await watch.read() is not grpc.aio.EOF:
            pass
        assert await watch.code() is grpc.StatusCode.OK  # the server did not have to break it off
        assert await process.wait() == 0


def test_a_worker_imports_nothing_heavy() -> None:
    code = f"import workers.__main__, sys; print({HEAVY} & sys.modules.keys())"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"
