"""What a suite starts, and where it listens."""

import tempfile
from pathlib import Path

import pytest

from cli.suite import Suite
from common.hosts import HostAddress


def make_suite(home: Path, host: str = "127.0.0.1:1") -> Suite:
    return Suite(HostAddress.parse(host), home, "", "INFO", "30s")


def test_sockets_lie_in_the_home_for_its_owner_alone(tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "home")
    suite.prepare()
    suite.prepare()
    assert suite.sockets == tmp_path / "home" / "run"
    assert suite.sockets.stat().st_mode & 0o777 == 0o700


def test_a_home_with_a_long_path_has_its_sockets_elsewhere(tmp_path: Path) -> None:
    long_home = tmp_path / ("x" * 100)
    suite, other = make_suite(long_home), make_suite(long_home / "y")
    suite.prepare()
    assert len(str(suite.sockets)) < 80
    assert suite.sockets != other.sockets
    suite.sockets.rmdir()


@pytest.mark.parametrize("name", ["a#b", "a b", "%20", "é"])
def test_a_home_whose_path_grpc_cannot_read_has_its_sockets_elsewhere(
    tmp_path: Path, name: str
) -> None:
    assert make_suite(tmp_path / name).sockets.parent == Path(tempfile.gettempdir())


def test_the_sockets_folder_is_closed_to_others_or_refused(tmp_path: Path) -> None:
    suite = make_suite(tmp_path)
    (tmp_path / "run").mkdir(mode=0o777)
    suite.prepare()
    assert suite.sockets.stat().st_mode & 0o777 == 0o700
    suite.sockets.rmdir()
    (tmp_path / "elsewhere").mkdir()
    suite.sockets.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="not a folder of this user's own"):
        suite.prepare()


def test_every_process_comes_after_those_it_needs(tmp_path: Path) -> None:
    listening: set[str] = set()
    for process in make_suite(tmp_path).processes():
        flags = dict(zip(process.arguments[2::2], process.arguments[3::2], strict=True))
        needed = {
            value
            for flag, value in flags.items()
            if value.startswith("unix:") and flag != "--listen"
        }
        assert needed <= listening
        listening.add(flags.get("--listen", ""))


@pytest.mark.parametrize(
    ("host", "environment", "opened"),
    [
        ("127.0.0.1:1", {}, True),
        ("localhost:1", {}, True),
        ("0.0.0.0:1", {}, False),
        ("127.0.0.1:1", {"PADDOCK_MODELFILES": "/srv"}, False),
        ("127.0.0.1:1", {"PADDOCK_MODELFILES": ""}, False),
    ],
)
def test_modelfiles_of_this_machine_are_open_to_its_own_users_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    environment: dict[str, str],
    opened: bool,
) -> None:
    monkeypatch.delenv("PADDOCK_MODELFILES", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    processes = {process.name: process for process in make_suite(tmp_path, host).processes()}
    assert ("--modelfiles" in processes["registry"].arguments) is opened
