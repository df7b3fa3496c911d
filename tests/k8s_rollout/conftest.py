"""Tries the cluster beside the other tests: for most of its three minutes it waits."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.k8s.rendering import ROOT
from tests.k8s_rollout import namespaces


@dataclass
class RollOut:
    """What tries the cluster, from the moment at which all tests are known."""

    process: "subprocess.Popen[bytes]"
    folder: Path

    @property
    def output(self) -> str:
        """All that it said."""
        return (self.folder / "output").read_text(errors="replace")


_STARTED = pytest.StashKey[RollOut]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start it where its test is to be run, and can be."""
    wanted = any("roll_out" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly and not namespaces.refusal():
        session.config.stash[_STARTED] = _start(Path(tempfile.mkdtemp(prefix="rollout-")))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End it where nobody waits for it any more."""
    if started := config.stash.get(_STARTED, None):
        started.process.kill()
        if started.process.wait() == 0:
            shutil.rmtree(started.folder)


@pytest.fixture
def roll_out(pytestconfig: pytest.Config) -> RollOut:
    if refusal := namespaces.refusal():
        pytest.skip(f"needs user namespaces with networks of their own: {refusal}")
    return pytestconfig.stash[_STARTED]


def _start(folder: Path) -> RollOut:
    checks = ROOT / "tests" / "k8s_rollout" / "check_rollout.py"
    options = ("-p", "no:cacheprovider", "-v", "--durations=0", f"--basetemp={folder / 'run'}")
    arguments = (sys.executable, "-m", "pytest", str(checks), f"--rootdir={ROOT}", *options)
    return RollOut(namespaces.start(arguments, ROOT, folder / "output"), folder)
