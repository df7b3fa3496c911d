"""`python -m workers --engine simulated` as a process, with the demo model's files."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from common.rpc import is_serving, open_channel
from protos.paddock.v1 import generation_pb2, model_pb2, worker_pb2_grpc
from tests.workers.blobs import FolderBlobs, serve_blobs
from tests.workers.harness import Router

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "examples" / "demo_model" / "model"
CAPABILITIES = ["completion", "tools", "thinking", "vision"]
HEAVY = {"torch", "vllm", "transformers", "tokenizers", "gguf"}
MEBIBYTE = 1 << 20


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    address = f"unix:{tmp_path}/worker.sock"
    flags = ["--listen", address, "--blob", f"unix:{tmp_path}/blob.sock"]
    simulated = ["--engine", "simulated", "--simulated-load-time", "0s"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers", *flags, *simulated),
        *("--simulated-token-time", "1ms", "--cache", f"{tmp_path}/cache"),
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


def test_a_worker_imports_nothing_heavy() -> None:
    code = f"import workers.__main__, sys; print({HEAVY} & sys.modules.keys())"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"
