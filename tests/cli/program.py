"""The `paddock` program as a person uses it: in a pipe, or in a terminal."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = (sys.executable, "-m", "cli.main")
ROOT = Path(__file__).parents[2]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE = 60.0  # seconds
_ROWS, _COLUMNS = 40, 100


def environment(url: str = "", **variables: str) -> dict[str, str]:
    """Give this process's variables, without what would lead to another server."""
    own = {name: text for name, text in os.environ.items() if not name.endswith(("_HOST", "_KEY"))}
    python_path = {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    return own | python_path | ({"PADDOCK_HOST": url} if url else {}) | variables


def paddock(
    *arguments: str, url: str = "", cwd: Path | None = None, text: str = "", **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command in pipes; `text` is its standard input."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(url, **variables),
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )


class Terminal:
    """A command that runs in a terminal of its own."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self._pid = pid
        self._descriptor = descriptor
        self.raw = ""
        """All that it wrote, escapes included."""

    @property
    def text(self) -> str:
        """What it wrote, without the escapes; what was drawn anew stands there again."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n").replace("\r", "\n")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._descriptor, text.encode())

    def wait_for(self, text: str) -> None:
        """Read until a text has come; fail when it does not in time, or the command ends."""
        self.wait_until(lambda: text in self.text)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Read until a condition holds; fail when it does not in time, or the command ends."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain:\n{self.text}"
            assert self._read(), f"it ended too early:\n{self.text}"

    def wait(self) -> int:
        """Read to the end; give the exit status."""
        deadline = time.monotonic() + _PATIENCE
        while self._read():
            assert time.monotonic() < deadline, f"it does not end:\n{self.text}"
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        self._pid = 0
        return status

    def resize(self, columns: int) -> None:
        """Make the terminal wider or narrower."""
        size = struct.pack("HHHH", _ROWS, columns, 0, 0)
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, size)

    def end(self) -> None:
        """Kill it, if it still runs."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._descriptor)

    def _read(self) -> bool:
        if not select.select([self._descriptor], [], [], 0.2)[0]:
            return True
        try:
            content = os.read(self._descriptor, 65536)
        except OSError:  # the other side is closed
            return False
        self.raw += content.decode(errors="replace")
        return bool(content)


@contextmanager
def terminal(
    *arguments: str, url: str = "", cwd: Path | None = None, **variables: str
) -> Iterator[Terminal]:
    """Run a command in a terminal; it is killed in the end."""
    own = environment(url, **{"TERM": "xterm-256color", **variables})
    del own["COLUMNS"]
    pid, descriptor = pty.fork()
    if pid == 0:
        try:
            # Who runs in the background ignores it, and whatever he starts does.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(cwd or ROOT)
            os.execve(PROGRAM[0], [*PROGRAM, *arguments], own)
        finally:
            os._exit(127)
    running = Terminal(pid, descriptor)
    running.resize(_COLUMNS)
    try:
        yield running
    finally:
        running.end()
