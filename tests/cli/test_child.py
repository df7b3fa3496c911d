"""Children of the suite: started, started again after a crash, stopped, never orphaned."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from cli.child import Child, ChildSpec, describe_exit

SLEEPER = "import time; print('here', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER


class Reports:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
async def lifeline() -> AsyncIterator[int]:
    read_end, write_end = os.pipe()
    yield read_end
    os.close(read_end)
    os.close(write_end)


def make_child(folder: Path, lifeline: int, code: str, reports: Reports) -> Child:
    log = folder / "log"

    async def is_ready() -> bool:
        return "here" in log.read_text()

    return Child(ChildSpec("sleeper", ("-c", code), is_ready), log, lifeline, reports)


async def settle(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_child_that_crashes_is_started_again(tmp_path: Path, lifeline: int) -> None:
    reports = Reports()
    child = make_child(tmp_path, lifeline, SLEEPER, reports)
    await child.start()
    assert await child.ready()
    keeper = asyncio.create_task(child.keep_alive())
    assert child.process
    first = child.process.pid
    psutil.Process(first).kill()
    await settle(lambda: "sleeper is ready again" in reports.lines)
    assert child.process.pid != first
    assert reports.lines[0] == "sleeper was killed by SIGKILL; starting it again in 0.5 s"
    keeper.cancel()
    await child.stop(5)
    assert not psutil.pid_exists(child.process.pid)


async def test_a_child_that_ends_at_once_is_not_ready(tmp_path: Path, lifeline: int) -> None:
    child = make_child(tmp_path, lifeline, "raise SystemExit(3)", Reports())
    await child.start()
    assert not await child.ready()


async def test_what_somebody_else_answers_does_not_make_a_child_ready(
    tmp_path: Path, lifeline: int
) -> None:
    async def somebody_answers() -> bool:
        await asyncio.sleep(0.5)
        return True

    spec = ChildSpec("sleeper", ("-c", "raise SystemExit(1)"), somebody_answers)
    child = Child(spec, tmp_path / "log", lifeline, Reports())
    await child.start()
    assert not await child.ready()


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path, lifeline: int) -> None:
    reports = Reports()
    child = make_child(tmp_path, lifeline, STUBBORN, reports)
    await child.start()
    assert await child.ready()
    began = time.monotonic()
    await child.stop(0.2)
    assert time.monotonic() - began < 5
    assert child.process
    assert not psutil.pid_exists(child.process.pid)
    assert reports.lines == ["sleeper did not stop within 0.2 s; killing it"]


def test_a_process_follows_its_parent_even_when_that_was_killed(tmp_path: Path) -> None:
    ready = tmp_path / "pid"
    child = (
        "import os, time, pathlib; from common.process import follow_parent; follow_parent(); "
        f"pathlib.Path({str(ready)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    parent = (
        "import os, subprocess, sys, time; read_end, write_end = os.pipe(); "
        f"subprocess.Popen([sys.executable, '-c', {child!r}], pass_fds=(read_end,), "
        "env=os.environ | {'PADDOCK_LIFELINE': str(read_end)}); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    deadline = time.monotonic() + 10
    while not (ready.exists() and ready.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    orphan = psutil.Process(int(ready.read_text()))
    process.kill()
    process.wait()
    orphan.wait(5)


@pytest.mark.parametrize(
    ("status", "text"), [(0, "ended with status 0"), (-15, "was killed by SIGTERM")]
)
def test_describe_exit(status: int, text: str) -> None:
    assert describe_exit(status) == text
