"""The real engine in several processes, with the demo model: it says what one process says."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from common.errors import LoadFailed, WorkerLost
from protos.paddock.v1 import generation_pb2
from tests.lora_adapters import make_adapter
from tests.workers.conformance import asked, assert_goes_on, chat, run, text, tokens
from tests.workers.folders import spec_of
from workers.engine import Engine
from workers.parallelism import Parallelism
from workers.vllm_factory import VllmFactory

DEMO = Path(__file__).parents[2] / "examples" / "demo_model" / "model"
GIBIBYTE = 1 << 30
QUESTIONS = ["What is the capital of France?", "Why is the sky blue?"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


async def start(failures: Path, rank: int = 0, **parallelism: Any) -> Engine:
    factory = VllmFactory(
        failures,
        max_sequences=16,
        context_length=None,
        accelerator=False,
        parallelism=Parallelism(**parallelism),
    )
    spec = spec_of(DEMO, "completion")
    if rank:
        spec.adapter.rank = rank
    return await factory.start(spec, DEMO, factory.plan(spec, DEMO, 4 * GIBIBYTE))


async def answers(engine: Engine) -> list[list[int]]:
    return [tokens(await run(engine, question, num_predict=40)) for question in QUESTIONS]


def processes() -> list[psutil.Process]:
    """Those of engines: each one's own, and those that compute for it."""
    children = psutil.Process().children(recursive=True)
    return [it for it in children if {"EngineCore", "Worker_"} & _words("".join(it.cmdline()))]


def _words(title: str) -> set[str]:
    return {word for word in ("EngineCore", "Worker_") if word in title}


async def gone(found: list[psutil.Process], seconds: float) -> bool:
    _, alive = await asyncio.to_thread(psutil.wait_procs, found, seconds)
    return not any(it.is_running() and it.status() != psutil.STATUS_ZOMBIE for it in alive)


def shared_memory() -> list[Path]:
    """What is named of the memory that processes share on a CPU."""
    return list(Path("/dev/shm").glob("vllm_dist_*"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def expected(failures: Path) -> list[list[int]]:
    engine = await start(failures)
    try:
        return await answers(engine)
    finally:
        await engine.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(failures: Path) -> AsyncIterator[Engine]:
    shared = set(shared_memory())
    engine = await start(failures, rank=16, tensor=2, executor="mp")
    assert not set(shared_memory()) - shared
    yield engine
    found = processes()
    await engine.aclose()
    assert await gone(found, 5)
    assert not os.listdir(failures)  # noqa: PTH208


async def test_divided_layers_give_the_same_answers(
    engine: Engine, expected: list[list[int]]
) -> None:
    assert await answers(engine) == expected
    assert len(processes()) == 3


async def test_many_at_once(engine: Engine) -> None:
    found = await asyncio.gather(*(run(engine, f"Count to {number}.") for number in range(32)))
    assert all(steps[-1].reason for steps in found)
    assert engine.occupancy.running == 0


async def test_going_on_with_an_answer_in_a_format(engine: Engine) -> None:
    generation = asked(num_predict=30)
    generation.format.CopyFrom(generation_pb2.Format(json=True))
    await assert_goes_on(engine, chat(engine), generation, [0, 5, 12])


async def test_adapters(engine: Engine, tmp_path: Path) -> None:
    """One that is refused, in all processes, leaves nothing behind for the next."""
    plain = text(await run(engine))
    (tmp_path / "bad").mkdir()
    for _ in range(2):
        with pytest.raises(LoadFailed, match="No adapter found") as refused:
            await engine.adapt("bad", tmp_path / "bad")
        assert "stack trace" not in str(refused.value)
    folder = make_adapter(tmp_path / "good", DEMO, seed=1, rank=8, alpha=64)
    adapted = await engine.adapt("good", folder)
    assert text(await run(adapted)) != plain
    assert text(await run(engine)) == plain


async def test_ctrl_c_ends_no_process(engine: Engine) -> None:
    for process in processes():
        process.send_signal(signal.SIGINT)
    assert (await run(engine))[-1].reason
    assert len(processes()) == 3


async def test_layers_one_after_another_give_the_same_answers(
    failures: Path, expected: list[list[int]]
) -> None:
    engine = await start(failures, pipeline=2, executor="mp")
    try:
        assert await answers(engine) == expected
    finally:
        await engine.aclose()


@pytest.mark.parametrize("which", ["EngineCore", "Worker_"])
async def test_the_death_of_a_process_ends_the_engine(failures: Path, which: str) -> None:
    before = processes()
    engine = await start(failures, tensor=2, executor="mp")
    try:
        own = [process for process in processes() if process not in before]
        victim = next(it for it in own if which in "".join(it.cmdline()))
        victim.kill()
        async with asyncio.timeout(5):
            await engine.died()
        with pytest.raises(WorkerLost):
            await run(engine)
    finally:
        await engine.aclose()
    assert await gone(own, 5)


@pytest.mark.parametrize(
    ("parallelism", "reason"),
    [
        ({"tensor": 3, "executor": "mp"}, r"heads \(4\) must be divisible"),
        ({"tensor": 2, "executor": "ray"}, "(?i)ray"),
    ],
)
async def test_what_cannot_be_divided_so(
    failures: Path, parallelism: dict[str, Any], reason: str
) -> None:
    with pytest.raises(LoadFailed, match=reason) as refused:
        await start(failures, **parallelism)
    assert len(str(refused.value)) < 300
