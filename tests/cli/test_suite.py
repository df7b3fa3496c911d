"""What a suite starts, and where it listens."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from cli.child import ChildSpec
from cli.shares import divide, gateways_for
from cli.suite import Suite
from common.hosts import HostAddress


def make_suite(home: Path, host: str = "127.0.0.1:1", workers: int = 1) -> Suite:
    return Suite(HostAddress.parse(host), home, "", "INFO", divide(workers, []))


def processes(suite: Suite, kind: str) -> list[ChildSpec]:
    return [spec for stage in suite.stages() for spec in stage if spec.name.startswith(kind)]


def flags_of(process: ChildSpec) -> dict[str, str]:
    return dict(zip(process.arguments[2::2], process.arguments[3::2], strict=True))


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
    for stage in make_suite(tmp_path, workers=3).stages():
        flags = [flags_of(process) for process in stage]
        needed = {
            address
            for each in flags
            for flag, value in each.items()
            for address in value.split(",")
            if address.startswith("unix:") and flag != "--listen"
        }
        assert needed <= listening
        listening.update(each.get("--listen", "") for each in flags)


def test_a_single_worker_has_the_machine_to_itself(tmp_path: Path) -> None:
    (worker,) = processes(make_suite(tmp_path), "worker")
    assert worker.name == "worker"
    assert worker.environment == ()
    assert flags_of(worker).keys() == {
        *("--listen", "--blob", "--cache", "--log-level", "--drain-timeout"),
    }


def test_several_workers_have_addresses_of_their_own_and_one_cache(tmp_path: Path) -> None:
    suite = make_suite(tmp_path, workers=2)
    workers = processes(suite, "worker")
    flags = [flags_of(worker) for worker in workers]
    assert [worker.name for worker in workers] == ["worker-1", "worker-2"]
    assert [each["--sharers"] for each in flags] == ["2", "2"]
    assert len({each["--cache"] for each in flags}) == 1
    (inference,) = processes(suite, "inference")
    listening = [each["--listen"] for each in flags]
    assert flags_of(inference)["--worker-addresses"].split(",") == listening
    assert len(set(listening)) == 2


def test_several_gateways_share_the_port(tmp_path: Path) -> None:
    suite = replace(make_suite(tmp_path), gateways=2)
    gateways = processes(suite, "gateway")
    assert [gateway.name for gateway in gateways] == ["gateway-1", "gateway-2"]
    assert {"--reuse-port"} <= set(gateways[0].arguments) & set(gateways[1].arguments)
    (alone,) = processes(make_suite(tmp_path), "gateway")
    assert "--reuse-port" not in alone.arguments


@pytest.mark.parametrize(("cores", "gateways"), [(1, 1), (16, 1), (32, 2), (256, 4)])
def test_gateways_by_the_cores(cores: int, gateways: int) -> None:
    assert gateways_for(cores) == gateways


def test_those_that_pass_tokens_on_are_told_their_cpus(tmp_path: Path) -> None:
    suite = replace(make_suite(tmp_path, workers=2), serving_cpus="0,1")
    stages = [spec for stage in suite.stages() for spec in stage]
    told = {spec.name for spec in stages if flags_of(spec).get("--serving-cpus") == "0,1"}
    assert told == {"gateway", "inference", "worker-1", "worker-2"}


def test_workers_with_gpus_of_their_own_see_no_other(tmp_path: Path) -> None:
    suite = replace(make_suite(tmp_path), shares=divide(2, ["0", "1"]))
    workers = processes(suite, "worker")
    assert [dict(worker.environment)["CUDA_VISIBLE_DEVICES"] for worker in workers] == ["0", "1"]
    assert all("--sharers" not in worker.arguments for worker in workers)


def test_a_process_may_drain_for_as_long_as_it_gives_itself(tmp_path: Path) -> None:
    suite = replace(make_suite(tmp_path), drain_delay="3s", drain_timeout="1m")
    drains = {spec.name: spec.drain for stage in suite.stages() for spec in stage}
    assert drains.pop("gateway") == 63
    assert set(drains.values()) == {60}


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
    (registry,) = processes(make_suite(tmp_path, host), "registry")
    assert ("--modelfiles" in registry.arguments) is opened
