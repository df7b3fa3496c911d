"""`paddock fsck` and `paddock collect` find the store that `paddock serve` uses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.suite import default_store


def paddock(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def put_wrong_blob(store: Path) -> None:
    (store / "blobs").mkdir(parents=True)
    (store / "blobs" / f"sha256-{'0' * 64}").write_bytes(b"wrong")


@pytest.mark.parametrize("by_variable", [True, False])
def test_fsck_checks_the_homes_store(tmp_path: Path, by_variable: bool) -> None:
    put_wrong_blob(Path(default_store(tmp_path)))
    variables = {"PADDOCK_HOME": str(tmp_path)} if by_variable else {}
    flags = [] if by_variable else ["--home", str(tmp_path)]
    done = paddock("fsck", *flags, **variables)
    assert done.returncode == 1
    assert "has the bytes of sha256:" in done.stdout
    assert "\n    deleted;" in paddock("fsck", "--repair", *flags, **variables).stdout
    assert paddock("fsck", *flags, **variables).returncode == 0


def test_collect_cleans_the_store_that_is_named(tmp_path: Path) -> None:
    put_wrong_blob(tmp_path / "elsewhere")
    store = {"PADDOCK_HOME": str(tmp_path), "PADDOCK_STORE": str(tmp_path / "elsewhere")}
    assert paddock("collect", **store).stdout == "removed 0 blobs with 0 bytes\n"
    done = paddock("collect", "--grace", "0s", "-v", **store)
    assert done.stdout == f"sha256:{'0' * 64} 5\nremoved 1 blobs with 5 bytes\n"
    assert done.returncode == 0
