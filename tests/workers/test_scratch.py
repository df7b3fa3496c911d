"""Where a worker's temporary files lie, and what becomes of them."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workers.scratch import own_scratch


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the machine keeps temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("RAY_TMPDIR", "")  # for it to be put back
    monkeypatch.delenv("RAY_TMPDIR")
    return tmp_path


def test_what_is_made_lies_in_a_folder_that_goes(place: Path) -> None:
    with own_scratch() as folder:
        assert folder.parent == place
        assert Path(tempfile.mkdtemp()).parent == folder
        code = "import tempfile; print(tempfile.gettempdir())"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert child.stdout.strip() == str(folder)
        assert os.environ["RAY_TMPDIR"] == str(place)
    assert not list(place.iterdir())


def test_the_folder_of_a_worker_that_was_killed_goes_with_the_next_one(place: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    numbers = (gone.pid, os.getpid(), os.getppid())
    names = {f"paddock-worker-{number}-x" for number in numbers}
    for name in {*names, "paddock-0-y", "others"}:
        (place / name).mkdir()
        (place / name / "socket").touch()
    with own_scratch():
        pass
    kept = {it.name for it in place.iterdir()}
    assert kept == {f"paddock-worker-{os.getppid()}-x", "paddock-0-y", "others"}
