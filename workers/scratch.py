"""The place of a worker's temporary files, so that none outlives it for long.

Python's multiprocessing and vLLM make sockets and files where the machine keeps such things, and
nobody removes those of a process that was killed.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_PREFIX = "paddock-worker-"


@contextmanager
def own_scratch() -> Iterator[Path]:
    """Keep the temporary files of this process and its children in a folder of its own.

    It is removed after the block; those of workers that were killed are removed now. Its path is
    short: that of a socket has 107 bytes at most.
    """
    place = tempfile.gettempdir()
    _remove_abandoned(Path(place))
    folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    # What Ray has there leads the processes of a machine to their cluster.
    os.environ.setdefault("RAY_TMPDIR", place)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        number = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdigit() and not _is_others(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_others(process: int) -> bool:
    """Tell whether a process is there and another one; in a container each has the same number."""
    return process != os.getpid() and psutil.pid_exists(process)
