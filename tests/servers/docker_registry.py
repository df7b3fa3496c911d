"""A real Docker registry (CNCF distribution) on loopback, without a password or with one."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import yaml

PROGRAM = Path(sys.executable).parent / "docker-registry"
USER, PASSWORD = "somebody", "secret"
_PATIENCE = 20.0  # seconds


@dataclass(frozen=True)
class DockerRegistry:
    """One that runs."""

    host: str
    """Host and port, as a model's name has them."""
    root: Path
    """Where it keeps its files."""
    log: Path

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{self.host}"


@contextlib.contextmanager
def running_registry(folder: Path, *, password: bool = False) -> Iterator[DockerRegistry]:
    """Run a registry that keeps its files in a folder; with `password` for `USER` alone."""
    if not PROGRAM.exists():
        raise FileNotFoundError(f"{PROGRAM} is missing: run make setup-tests")
    folder.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{_free_port()}"
    config = folder / "config.yml"
    config.write_text(yaml.safe_dump(_config(folder, host, password)))
    log = folder / "log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [PROGRAM, "serve", config], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, host, log)
        yield DockerRegistry(host, folder / "files", log)
    finally:
        process.kill()
        process.wait()


def _config(folder: Path, host: str, password: bool) -> dict[str, object]:
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "files")},
            "delete": {"enabled": True},
        },
        "http": {"addr": host},
    }
    if password:
        secret = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        users = folder / "htpasswd"
        users.write_text(f"{USER}:{secret}\n")
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(users)}}
    return config


def _wait(process: subprocess.Popen[bytes], host: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://{host}/v2/", timeout=1).close()
        except urllib.error.HTTPError:  # it wants a password
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the registry did not start: {log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
