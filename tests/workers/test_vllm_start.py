"""Starts of the real engine that are given up, and what an engine leaves behind."""

import asyncio
import os
import shutil
from pathlib import Path

import psutil
import pytest

from tests.workers.folders import spec_of
from workers.engine import Engine
from workers.vllm_factory import VllmFactory

DEMO = Path(__file__).parents[2] / "examples" / "demo_model" / "model"
GIBIBYTE = 1 << 30

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


async def start(factory: VllmFactory, folder: Path) -> Engine:
    spec = spec_of(DEMO, "completion")
    return await factory.start(spec, folder, factory.plan(spec, DEMO, 2 * GIBIBYTE))


def engines() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [it for it in children if "EngineCore" in "".join(it.cmdline())]


async def test_a_start_that_is_given_up_ends_at_once(failures: Path, tmp_path: Path) -> None:
    """The weights never come, so that the start would last for ever."""
    folder = tmp_path / "model"
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    os.mkfifo(folder / "model.safetensors")
    factory = VllmFactory(failures, max_sequences=8, context_length=None, accelerator=False)
    await factory.prepare()
    starting = asyncio.create_task(start(factory, folder))
    while not engines():
        assert not starting.done()
        await asyncio.sleep(0.05)
    starting.cancel()
    async with asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert not engines()
    assert not os.listdir(failures)  # noqa: PTH208


async def test_an_engine_that_ended_leaves_nothing(failures: Path) -> None:
    factory = VllmFactory(failures, max_sequences=8, context_length=None, accelerator=False)
    await factory.prepare()
    await asyncio.to_thread(failures.rmdir)  # as who clears the cache under a worker
    engine = await start(factory, DEMO)
    [process] = engines()
    await engine.aclose()
    assert not process.is_running()
    assert not os.listdir(failures)  # noqa: PTH208
