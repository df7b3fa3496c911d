"""How much memory the services take for bytes that pass through them (docs/store.md)."""

import http.client
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from bench.limit import chunks, digest
from bench.transfers import publish
from services.registry.remote.window import RANGE_SIZE
from tests.integration.suite import Suite, running_suite
from tests.servers.docker_registry import running_registry

MEBIBYTE = 1024 * 1024
KEPT = 32 * MEBIBYTE
TRANSFER = 16 * MEBIBYTE
WINDOW = 4  # ranges
UPLOADS = 4
SIZE = 80 * MEBIBYTE
PULLED = 300 * MEBIBYTE


class Peak:
    """The memory that a process takes at most, above what it has now."""

    def __init__(self, process: psutil.Process) -> None:
        self._folder = Path(f"/proc/{process.pid}")
        (self._folder / "clear_refs").write_text("5")  # its peak is what it has now
        self._before = self._peak()

    @property
    def growth(self) -> int:
        """Bytes."""
        return self._peak() - self._before

    def _peak(self) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        [line] = [line for line in lines if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with running_suite(tmp_path_factory.mktemp("home"), PADDOCK_PULL_WINDOW=str(WINDOW)) as suite:
        yield suite


def upload(suite: Suite, seed: int) -> int:
    """Upload bytes that nobody else does; give the status."""
    connection = http.client.HTTPConnection(urlsplit(suite.url).netloc)
    path = f"/api/blobs/{digest(SIZE, seed)}"
    connection.request("POST", path, chunks(SIZE, seed), {"Content-Length": str(SIZE)})
    with connection.getresponse() as answer:
        return answer.status


def peaks(suite: Suite, *kinds: str) -> Sequence[Peak]:
    """Watch some of a suite's processes."""
    processes = suite.kinds()
    return [Peak(processes[kind]) for kind in kinds]


def test_uploads_take_a_bounded_amount_of_memory(own: Suite) -> None:
    watched = peaks(own, "gateway", "blob")
    with ThreadPoolExecutor(UPLOADS) as threads:
        statuses = list(threads.map(lambda seed: upload(own, seed), range(UPLOADS)))
    assert statuses == [201] * UPLOADS
    bound = UPLOADS * TRANSFER + KEPT
    assert bound < UPLOADS * SIZE
    assert max(peak.growth for peak in watched) < bound


def test_a_pull_takes_a_bounded_amount_of_memory(own: Suite, tmp_path: Path) -> None:
    with running_registry(tmp_path) as registry:
        publish(registry, "bench/model", PULLED, UPLOADS)
        registry_process, blob = peaks(own, "registry", "blob")
        body = {"model": f"http://{registry.host}/bench/model", "insecure": True, "stream": False}
        assert own.request("POST", "/api/pull", body) == (200, {"status": "success"})
    bound = WINDOW * RANGE_SIZE + TRANSFER + KEPT
    assert bound < PULLED
    assert registry_process.growth < bound
    assert blob.growth < TRANSFER + KEPT
