"""Processes that die, are stopped, or stand beside another suite."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.suite import KINDS, Suite, eventually, running_suite, wait_for_line


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """A suite beside the one that the other tests share."""
    with running_suite(tmp_path_factory.mktemp("own")) as running:
        yield running


def test_the_suite_is_five_kinds_of_processes(own: Suite) -> None:
    assert set(own.kinds()) == set(KINDS.values())


def test_an_engine_has_a_cpu_that_nobody_answers_on(own: Suite) -> None:
    assert own.client.generate("demo", "Hello").done
    everywhere = sorted(os.sched_getaffinity(0))
    beside = everywhere[1:] or everywhere
    for kind in ("gateway", "inference", "worker"):
        assert own.kinds()[kind].cpu_affinity() == beside
    engines = own.kinds()["worker"].children(recursive=True)
    assert engines
    assert [it.cpu_affinity() for it in engines] == [everywhere] * len(engines)


def test_two_suites_stand_side_by_side(suite: Suite, own: Suite) -> None:
    own.client.copy("demo", "only-here")
    assert "only-here:latest" in {model.model for model in own.client.list().models}
    assert "only-here:latest" not in {model.model for model in suite.client.list().models}
    own.client.delete("only-here")


def test_a_second_suite_in_the_same_home_is_refused(own: Suite) -> None:
    with (
        pytest.raises(AssertionError, match="another PADDOCK_HOME"),
        running_suite(own.home),
    ):
        pass


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"PADDOCK_STORE": "gs://bucket"}, "blob did not start"),
        ({"PADDOCK_MEMORY_SHARE": "7"}, "worker did not start"),
        ({"PADDOCK_HOST": "https://127.0.0.1:1"}, "takes http and a port"),
    ],
)
def test_a_suite_that_cannot_start_says_why(
    tmp_path: Path, wrong: dict[str, str], text: str
) -> None:
    with pytest.raises(AssertionError, match=text), running_suite(tmp_path, **wrong):
        pass


def test_an_address_that_is_taken_is_refused(own: Suite, tmp_path: Path) -> None:
    taken = {"PADDOCK_HOST": own.url.removeprefix("http://")}
    with pytest.raises(AssertionError, match="cannot listen"), running_suite(tmp_path, **taken):
        pass


def test_the_next_prompt_works_after_the_worker_was_killed(own: Suite) -> None:
    assert own.client.generate("demo", "Hello!").response
    worker = own.kinds()["worker"]
    engines = worker.children(recursive=True)
    assert engines
    worker.kill()
    assert own.client.generate("demo", "Hello!").response
    assert "worker" in wait_for_line(own.process, "SIGKILL")
    eventually(lambda: not any(engine.is_running() for engine in engines))


@pytest.mark.parametrize("kind", ["blob", "registry", "inference"])
def test_the_next_prompt_works_after_a_service_was_killed(own: Suite, kind: str) -> None:
    own.kinds()[kind].kill()
    assert own.client.generate("demo", "Hello!").response
    assert own.client.show("demo").details
    assert kind in wait_for_line(own.process, "SIGKILL")


def test_ctrl_c_lets_streams_finish_and_leaves_nothing(tmp_path: Path) -> None:
    with running_suite(tmp_path) as suite:
        suite.client.generate("demo")
        family = suite.descendants()
        parts = suite.client.generate("demo", "Tell me a long story", stream=True)
        next(parts)
        stopper = threading.Timer(0.05, suite.process.send_signal, [signal.SIGINT])
        stopper.start()
        assert [part.done for part in parts][-1]
        assert suite.process.wait(60) == 0
        assert not alive(family)
        assert not list((tmp_path / "run").glob("*.sock"))


def test_nothing_outlives_a_suite_that_was_killed(tmp_path: Path) -> None:
    with running_suite(tmp_path) as suite:
        suite.client.generate("demo")
        family = suite.descendants()
        assert len(family) > len(KINDS)
        os.kill(suite.process.pid, signal.SIGKILL)
        eventually(lambda: not alive(family))


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [
        process
        for process in processes
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]
