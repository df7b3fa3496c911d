"""A running `paddock serve`, as a user starts it, for tests to talk to."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ollama
import psutil

KINDS = {
    "gateway": "gateway",
    "services.blob": "blob",
    "services.registry": "registry",
    "services.inference": "inference",
    "workers": "worker",
}
START_TIMEOUT = 120.0


@dataclass
class Suite:
    """The supervisor's process, where its API is, and what lies in its home."""

    process: subprocess.Popen[bytes]
    url: str
    home: Path

    @property
    def client(self) -> ollama.Client:
        """An official client."""
        return ollama.Client(self.url)

    def descendants(self) -> list[psutil.Process]:
        """Every process that the suite started and that is alive."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def kinds(self) -> dict[str, psutil.Process]:
        """The suite's processes by kind."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error, ValueError, KeyError):  # it is just starting or ending
                command = child.cmdline()
                found[KINDS[command[command.index("-m") + 1]]] = child
        return found

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a raw request; give status and body, decoded where it is JSON."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        status, text = self.text(method, path, content)
        return status, decode(text)

    def text(self, method: str, path: str, content: bytes | None = None) -> tuple[int, str]:
        """Send a raw request; give status and body as they are."""
        request = urllib.request.Request(self.url + path, content, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def running(self) -> dict[str, dict[str, int]]:
        """What `/api/ps` says of each model's requests."""
        status, answer = self.request("GET", "/api/ps")
        assert status == 200
        return {model["name"]: model["requests"] for model in answer["models"]}

    def blobs(self) -> set[str]:
        """The digests in the store."""
        folder = self.home / "models" / "blobs"
        return {path.name.replace("sha256-", "sha256:") for path in folder.iterdir()}

    def leftovers(self) -> list[Path]:
        """Files of unfinished uploads."""
        folder = self.home / "models" / "uploads"
        files = (path for path in folder.rglob("*") if path.is_file())
        return [path for path in files if not path.name.startswith(".")]


def decode(content: str) -> Any:
    """Give JSON decoded, anything else as text."""
    try:
        return json.loads(content)
    except ValueError:
        return content


def eventually(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


def free_port() -> int:
    """Give a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_suite(home: Path, **environment: str) -> Iterator[Suite]:
    """Start a suite, wait for its line that says it is ready, and stop it in the end."""
    port = free_port()
    own = {"PADDOCK_HOST": f"127.0.0.1:{port}", "PADDOCK_HOME": str(home)} | environment
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve"],
        env=os.environ | own,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    suite = Suite(process, f"http://127.0.0.1:{port}", home)
    try:
        wait_for_line(process, "ready at")
        yield suite
    finally:
        children = suite.descendants() if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
            for child in children:
                if child.is_running():
                    child.kill()


def wait_for_line(process: "subprocess.Popen[bytes]", text: str) -> str:
    """Read the process's standard error until a line has the text."""
    assert process.stderr
    os.set_blocking(process.stderr.fileno(), False)
    seen = ""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        seen += (process.stderr.read() or b"").decode()
        for line in seen.splitlines():
            if text in line:
                return line
        time.sleep(0.02)
    seen += (process.stderr.read() or b"").decode()
    raise AssertionError(f"no line with {text!r} came:\n{seen}")
