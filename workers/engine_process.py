"""What every process of an engine is prepared with, and the files in which it tells of itself."""

import logging
import os
import signal
import sys
from pathlib import Path

from workers.vllm_environment import FAILURES_VARIABLE

# The threads that take requests in and hand tokens out get their turn after so many seconds: with
# Python's own number, 5 ms, outputs wait while the next step is scheduled, and so do clients.
_SWITCH_INTERVAL = 0.0002


def reason_file(instance: str) -> Path:
    """Give where the engine that vLLM calls `instance` says why it failed."""
    return Path(os.environ[FAILURES_VARIABLE]) / instance


def process_file(instance: str) -> Path:
    """Give where that engine notes its process, by number, until it has started."""
    return reason_file(instance).with_suffix(".process")


def note_process(instance: str) -> None:
    """Note that this is the engine's own process, also where somebody has cleared the cache."""
    file = process_file(instance)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(str(os.getpid()))


def prepare_process(instance: str) -> None:
    """Prepare a process of the engine that vLLM calls `instance`."""
    logging.getLogger("vllm").addHandler(_FailureFile(reason_file(instance)))
    # Ctrl-C reaches the whole group; whether an engine stops is its worker's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setswitchinterval(_SWITCH_INTERVAL)


class _FailureFile(logging.Handler):
    """Keeps the exception that vLLM logs when an engine fails.

    Of several the first: others follow from it, in the processes that waited for this one.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(logging.ERROR)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        if not (record.exc_info and record.exc_info[1] and self._path.parent.exists()):
            return
        error = record.exc_info[1]
        try:
            with self._path.open("x", encoding="utf-8") as file:
                file.write(str(error) or type(error).__name__)
        except FileExistsError:
            return
