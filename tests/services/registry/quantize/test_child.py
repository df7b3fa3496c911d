"""The process that quantises, while it works."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import psutil
import pytest

from common.errors import BlobNotFound, Internal
from common.rpc import rpc_errors
from protos.paddock.v1 import registry_pb2
from services.registry.quantize.child import run_child
from services.registry.quantize.file_type import FileType
from services.registry.quantize.job import Job, SourceFile
from tests.services.registry.quantize.weights import model_files, random_matrix
from tests.services.registry.running import Registry

MODULE = "services.registry.quantize"


@pytest.fixture(scope="module")
def large() -> dict[str, bytes]:
    """A model that takes some seconds."""
    block = random_matrix(512, 4096)
    weight = np.concatenate([block] * 16)
    layers = {f"model.layers.{it}.mlp.up_proj.weight": weight for it in range(2)}
    return model_files({"model.embed_tokens.weight": random_matrix(256, 64)} | layers)


def working() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if MODULE in command(child)]


def command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


async def eventually(condition: Callable[[], object], timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def create(registry: Registry, files: dict[str, bytes]) -> Any:
    uploaded = await registry.upload(files)
    return registry.stub.Create(
        registry_pb2.CreateRequest(model="x", files=uploaded, quantize="q4_K_M")
    )


async def begin(registry: Registry, files: dict[str, bytes]) -> tuple[Any, AsyncIterator[Any]]:
    call = await create(registry, files)
    steps = aiter(call)
    while (await anext(steps)).completed == 0:
        continue
    return call, steps


async def drain(steps: AsyncIterator[Any]) -> None:
    async for _ in steps:
        continue


async def test_a_caller_that_leaves_ends_it(registry: Registry, large: dict[str, bytes]) -> None:
    call, _ = await begin(registry, large)
    before = registry.stored_blobs()
    (process,) = working()
    assert process.nice() > psutil.Process().nice()
    call.cancel()
    await eventually(lambda: not process.is_running())
    assert await registry.names() == []
    assert registry.stored_blobs() == before


async def test_signs_of_life(registry: Registry, large: dict[str, bytes]) -> None:
    seen = [step async for step in await create(registry, large)]
    running = [step for step in seen if step.total]
    completed = [step.completed for step in running]
    assert completed == sorted(completed)
    assert len(set(completed)) > 2
    assert completed[-1] == running[-1].total == len(large["model.safetensors"])
    assert {step.digest for step in running} == {"0" * 19}
    assert seen[-1].status == "success"


async def test_one_that_is_killed(registry: Registry, large: dict[str, bytes]) -> None:
    _, steps = await begin(registry, large)
    (process,) = working()
    process.kill()
    with pytest.raises(Internal, match="ended with status -9"), rpc_errors():
        await drain(steps)
    assert await registry.names() == []


async def test_an_error_of_its_own(registry: Registry) -> None:
    missing = SourceFile(path="a.safetensors", digest=f"sha256:{'0' * 64}", size=1)
    job = Job(blob_service=registry.blobs.address, files=(missing,), file_type=FileType.Q8_0)
    with pytest.raises(BlobNotFound):
        await drain(run_child(job))


async def test_it_does_not_outlive_whoever_started_it(
    registry: Registry, large: dict[str, bytes]
) -> None:
    content = large["model.safetensors"]
    blob = await registry.blobs.write(content)
    name = "model.layers.0.mlp.up_proj.weight"
    job = Job(
        blob_service=registry.blobs.address,
        files=(SourceFile(path="a", digest=blob.digest, size=blob.size),),
        file_type=FileType.Q8_0,
        layers=frozenset({name}),
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin
    process.stdin.write(job.model_dump_json().encode() + b"\n")
    await process.stdin.drain()
    process.stdin.close()
    async with asyncio.timeout(60):
        assert await process.wait() == -9
    assert registry.stored_blobs() == {blob.digest}
