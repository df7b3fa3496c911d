"""One child process of the suite: started, watched, started again, stopped."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from common.process import LIFELINE_VARIABLE

_PROBE_INTERVAL = 0.05  # seconds
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_STEADY = 5.0  # a child that lived this long was healthy: whatever ended it may not come back


@dataclass(frozen=True)
class ChildSpec:
    """What a child runs and how to tell that it is ready."""

    name: str
    arguments: tuple[str, ...]  # of the Python interpreter
    is_ready: Callable[[], Awaitable[bool]]
    environment: tuple[tuple[str, str], ...] = ()
    drain: float = 0.0
    """Seconds that it gives itself to drain."""


class Child:
    """Keeps a process alive until it is told to stop it.

    The process is the leader of its own session: a Ctrl-C in the terminal reaches the
    parent alone, which then stops the children in order.
    """

    def __init__(
        self, spec: ChildSpec, log: Path, lifeline: int, report: Callable[[str], None]
    ) -> None:
        self.spec = spec
        self.log = log
        self.process: asyncio.subprocess.Process | None = None
        self._lifeline = lifeline
        self._report = report
        self._started_at = 0.0

    async def start(self) -> None:
        """Start the process; its output goes to its log."""
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self.spec.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(os.environ)
                | dict(self.spec.environment)
                | {LIFELINE_VARIABLE: str(self._lifeline)},
                pass_fds=(self._lifeline,),
                start_new_session=True,
            )
        self._started_at = time.monotonic()

    async def ready(self) -> bool:
        """Wait until the process takes work; False when it ended before."""
        while self.process and self.process.returncode is None:
            is_ready = await self.spec.is_ready()
            # Asked again: if it has ended, it was somebody else who answered.
            if is_ready and self.process.returncode is None:
                return True
            await asyncio.sleep(_PROBE_INTERVAL)
        return False

    async def keep_alive(self) -> None:
        """Start the process again whenever it ends, a little later each time."""
        delay = _FIRST_DELAY
        while self.process:
            status = await self.process.wait()
            self._kill_session()
            if time.monotonic() - self._started_at > _STEADY:
                delay = _FIRST_DELAY
            name = self.spec.name
            self._report(f"{name} {describe_exit(status)}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
            try:
                await self.start()
            except OSError as error:
                self._report(f"{name} cannot be started: {error}")
                continue
            if await self.ready():
                self._report(f"{name} is ready again")

    async def stop(self, grace: float) -> None:
        """Ask the process to drain and leave; kill it when `grace` seconds are over."""
        if not self.process:
            return
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(grace):
                    await self.process.wait()
            except TimeoutError:
                self._report(f"{self.spec.name} did not stop within {grace:g} s; killing it")
        self.kill()
        await self.process.wait()

    def kill(self) -> None:
        """End the process, and whatever it started, at once."""
        if self.process and self.process.returncode is None:
            self.process.kill()
        self._kill_session()

    def _kill_session(self) -> None:
        if self.process:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


def describe_exit(status: int) -> str:
    """Say in words how a process ended, from its return code."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
