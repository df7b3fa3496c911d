"""Folders that are being built, or taken down: nobody else looks into them."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def partial_folder(parent: Path) -> Iterator[Path]:
    """Give a new folder to work in; what is left of it goes at the end.

    A lock that the kernel drops with the process tells others that somebody works there.
    """
    name = uuid4().hex
    lock = parent / f"{name}.lock"
    with lock.open("wb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        folder = parent / name
        folder.mkdir()
        try:
            yield folder
        finally:
            _remove(parent, name)


def remove_leftovers(parent: Path) -> None:
    """Remove the folders of processes that were killed."""
    for lock in parent.glob("*.lock"):
        try:
            with lock.open("rb") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(parent, lock.stem)
        except OSError:  # somebody works there, or was faster to clean up
            continue


def _remove(parent: Path, name: str) -> None:
    shutil.rmtree(parent / name, ignore_errors=True)
    shutil.rmtree(parent / f"{name}-broken", ignore_errors=True)
    (parent / f"{name}.lock").unlink(missing_ok=True)
