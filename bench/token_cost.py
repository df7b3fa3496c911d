"""What a token costs the process that serves it and the engine's own, while a load lasts."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.load import percentile
from protos.paddock.v1 import model_pb2

DEMO = Path(__file__).parent.parent / "examples" / "demo_model" / "model"
SEQUENCES = 256
_SETTLING_SECONDS = 1.0


@dataclass
class Load:
    """What is asked for again and again."""

    streams: int
    tokens: int
    seconds: float
    temperature: float


@dataclass
class Counted:
    """What came so far."""

    tokens: int = 0
    messages: int = 0
    answers: int = 0
    waits: list[float] = field(default_factory=list)
    """For first tokens, in seconds."""


@dataclass(frozen=True)
class Figures:
    """One measurement; times in microseconds of CPU time a token."""

    rate: float
    """Tokens a second."""
    front: float
    core: float
    message: float
    """Tokens a message, or, of the bare engine, an output."""
    length: float
    """Tokens an answer."""
    first: float
    """Half of the first tokens came within so many milliseconds."""


async def watch(load: Load, counted: Counted, process: psutil.Process) -> Figures:
    """Let it settle, then count for some seconds."""
    while counted.answers < load.streams:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await asyncio.sleep(_SETTLING_SECONDS)
    [core] = [
        child
        for child in process.children(recursive=True)
        if "EngineCore" in "".join(child.cmdline())
    ]
    tokens, messages, answers = counted.tokens, counted.messages, counted.answers
    counted.waits.clear()
    began, front_busy, core_busy = time.monotonic(), _busy(process), _busy(core)
    await asyncio.sleep(load.seconds)
    seconds = time.monotonic() - began
    front, core_time = _busy(process) - front_busy, _busy(core) - core_busy
    came = counted.tokens - tokens
    return Figures(
        rate=came / seconds,
        front=front / came * 1e6,
        core=core_time / came * 1e6,
        message=came / (counted.messages - messages),
        length=came / (counted.answers - answers),
        first=percentile(counted.waits, 50) * 1000,
    )


def _busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def prompt(number: int) -> str:
    """Give a prompt that no other answer has."""
    return f"Count from {number} to {number + 100}:"


def demo_spec() -> model_pb2.ModelSpec:
    """Describe the demo model."""
    files = [
        model_pb2.ModelFile(path=path.name, size=path.stat().st_size) for path in DEMO.iterdir()
    ]
    return model_pb2.ModelSpec(
        name="demo:latest", digest="demo", weights="demo", files=files, capabilities=["completion"]
    )
