"""`paddock serve` with several workers on one machine."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.suite import Suite, eventually, running_suite, wait_for_line


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    home = tmp_path_factory.mktemp("workers")
    with running_suite(home, PADDOCK_WORKERS="2", PADDOCK_ENGINE="simulated") as running:
        yield running


def workers(suite: Suite) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(suite.process.pid).children()
        if "workers" in child.cmdline()
    ]


def test_each_worker_has_a_log_and_a_socket_and_all_share_a_cache(own: Suite) -> None:
    assert len(workers(own)) == 2
    own.client.generate("demo", "Hello!")
    assert {path.name for path in (own.home / "logs").glob("worker*")} == {
        "worker-1.log",
        "worker-2.log",
    }
    assert {path.name for path in (own.home / "run").glob("worker*")} == {
        "worker-1.sock",
        "worker-2.sock",
    }
    assert (own.home / "cache").is_dir()


def test_a_stream_goes_on_when_its_worker_is_killed(own: Suite) -> None:
    options = {"temperature": 0}
    undisturbed = own.client.generate("demo", "A story", options=options)
    parts = own.client.generate("demo", "A story", stream=True, options=options)
    received = [next(parts)]
    before = workers(own)
    (running,) = (it for it in own.request("GET", "/api/ps")[1]["models"] if it["worker"])
    killed = next(it for it in before if f"-{it.pid}-" in running["worker"])
    killed.kill()
    received += parts
    assert "".join(part.response or "" for part in received) == undisturbed.response
    assert received[-1].eval_count == undisturbed.eval_count
    assert "was killed by SIGKILL" in wait_for_line(own.process, "worker-")
    eventually(lambda: len(workers(own)) == 2)


def test_the_suite_leaves_nothing(tmp_path: Path) -> None:
    with running_suite(tmp_path, PADDOCK_WORKERS="2", PADDOCK_ENGINE="simulated") as suite:
        family = suite.descendants()
        suite.process.terminate()
        assert suite.process.wait(60) == 0
        assert not [it for it in family if it.is_running()]
        assert not list((tmp_path / "run").glob("*.sock"))
