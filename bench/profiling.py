"""Which functions of running processes take the most time, as py-spy sees them."""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.processes import CLIENTS, Tree

_MOST = 20
_RATE = 200  # samples a second
_LEAST_SAMPLES = 20


def profile(tree: Tree, seconds: float) -> dict[str, list[str]]:
    """Sample all processes at once; give the heaviest functions of each, as lines to print.

    A process that did next to nothing is left out.

    Raises:
        RuntimeError: py-spy could not look into a process.
    """
    with TemporaryDirectory() as name:
        running = {
            (kind, pid): _record(pid, seconds, Path(name) / str(pid))
            for kind, pids in tree.pids().items()
            if kind != CLIENTS
            for pid in pids
        }
        found = {}
        for (kind, pid), recorder in running.items():
            _, errors = recorder.communicate()
            file = Path(name) / str(pid)
            if recorder.returncode:
                raise RuntimeError(f"py-spy: {errors.strip()}")
            if table := heaviest(file.read_text().splitlines(), seconds):
                found[f"{kind} ({pid})"] = table
        return found


def _record(pid: int, seconds: float, file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            Path(sys.executable).with_name("py-spy"),
            *("record", "--pid", str(pid), "--duration", f"{seconds:.0f}", "--rate", str(_RATE)),
            *("--format", "raw", "--output", str(file)),
            "--nonblocking",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def heaviest(stacks: Sequence[str], seconds: float) -> list[str]:
    """Sum samples by function: its own, and with all that it called.

    Each line of `stacks` is the frames, outermost first and parted by semicolons, and a count.
    """
    own: Counter[str] = Counter()
    all_: Counter[str] = Counter()
    for line in stacks:
        frames, _, count = line.rpartition(" ")
        names = [_name(frame) for frame in frames.split(";")]
        own[names[-1]] += int(count)
        for name in set(names):
            all_[name] += int(count)
    total = own.total()
    if total < _LEAST_SAMPLES:
        return []
    lines = [f"  busy {total / _RATE / seconds:.0%} of a core;  own, with what it calls"]
    lines += [
        f"  {count / total:5.1%}  {all_[name] / total:5.1%}  {name}"
        for name, count in own.most_common(_MOST)
    ]
    lines.append("  ---- with what they call")
    lines += [f"  {count / total:5.1%}  {name}" for name, count in all_.most_common(2 * _MOST)]
    return lines


def _name(frame: str) -> str:
    """Leave out the line's number: `function (file.py:12)`."""
    return frame.rpartition(":")[0] + ")" if ":" in frame else frame
