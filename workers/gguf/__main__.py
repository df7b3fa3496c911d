"""`python -m workers.gguf`: converts one model, in a process that a worker starts and watches.

It writes lines of JSON: `{"completed": …, "total": …}` while it converts, and at the end
`{"done": …}` or `{"error": …, "reason": …}`, as `workers.gguf.process` reads them.
"""

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.cpus import run_on_all
from common.errors import InvalidModel, LoadFailed, PaddockError
from workers.gguf.memory import LIMIT, limit_memory

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_NICENESS = 10
_INTERVAL = 0.2  # seconds between two lines


def main() -> None:
    """Do what the arguments say."""
    arguments = _arguments()
    _end_with_parent(arguments.parent)
    run_on_all()
    os.nice(_NICENESS)
    limit_memory()
    try:
        done = _run(arguments)
    except PaddockError as error:
        _tell(error=error.message, reason=error.reason())
        sys.exit(1)
    except MemoryError:
        text = f"cannot convert the model: that takes more than {LIMIT >> 30} GiB of memory"
        _tell(error=text, reason=LoadFailed.reason())
        sys.exit(1)
    except NotImplementedError:
        text = "the GGUF file has weights of a type that is not supported"
        _tell(error=text, reason=InvalidModel.reason())
        sys.exit(1)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        traceback.print_exc()  # into the worker's log
        text = "the GGUF file contradicts itself; the worker's log tells more"
        _tell(error=text, reason=InvalidModel.reason())
        sys.exit(1)
    except OSError as error:
        _tell(error=f"cannot convert the model: {error.strerror}", reason=LoadFailed.reason())
        sys.exit(1)
    _tell(done=done)


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m workers.gguf", description="Convert a GGUF model.")
    parser.add_argument("source", type=Path, help="the folder with model.gguf")
    parser.add_argument("target", type=Path, nargs="?", help="an empty folder; none: only measure")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="end with this process")
    parser.add_argument("--no-weights", action="store_true", help="for engines that read GGUF")
    return parser.parse_args()


def _run(arguments: Namespace) -> dict[str, Any]:
    # Slow, and nothing must delay the tie to the parent.
    from workers.gguf.measure import measure

    if arguments.target is None:
        return asdict(measure(arguments.source))
    from workers.gguf.folder import convert

    progress = _Progress()
    convert(arguments.source, arguments.target, progress.tell, weights=not arguments.no_weights)
    return {}


class _Progress:
    """Writes some of the news."""

    def __init__(self) -> None:
        self._told = 0.0

    def tell(self, completed: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told >= _INTERVAL or completed == total:
            self._told = now
            _tell(completed=completed, total=total)


def _tell(**news: Any) -> None:
    print(json.dumps(news), flush=True)


def _end_with_parent(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
