"""How much memory this machine has for models: of its GPUs where it has any, else RAM."""

import subprocess
from pathlib import Path

import psutil

from common.gpus import visible_gpus

_MEBIBYTE = 1 << 20
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def accelerator_memory(parts: int = 1) -> int | None:
    """Give the bytes that models divided among so many GPUs may take; None without a GPU.

    The first visible ones are used, each for an equal part: what the smallest of them has
    counts for all. Those of other machines are taken to be like the ones here. It asks the
    driver's own tool: asking torch would initialise CUDA in this process.
    """
    gpus = visible_gpus()[:parts]
    if not gpus:
        return None
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            [*command, "-i", ",".join(gpus)], capture_output=True, text=True, timeout=30, check=True
        )
        return min(map(int, answer.stdout.split())) * _MEBIBYTE * parts
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def machine_memory() -> int:
    """Give the bytes of RAM that this machine, or this container, has."""
    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no such control group, or "max"
        return total
