"""How much memory this machine has for models: of its GPU where it has one, else RAM."""

import subprocess
from pathlib import Path

import psutil

from common.gpus import visible_gpus

_MEBIBYTE = 1 << 20
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def accelerator_memory() -> int | None:
    """Give the bytes of the first visible GPU; None without one that the installed torch uses.

    It asks the driver's own tool: asking torch would initialise CUDA in this process.
    """
    gpus = visible_gpus()
    if not gpus:
        return None
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            [*command, "-i", gpus[0]], capture_output=True, text=True, timeout=30, check=True
        )
        return int(answer.stdout.strip()) * _MEBIBYTE
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def machine_memory() -> int:
    """Give the bytes of RAM that this machine, or this container, has."""
    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no such control group, or "max"
        return total
