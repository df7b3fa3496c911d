"""How much memory this machine has for models: of its GPU where it has one, else RAM."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_MEBIBYTE = 1 << 20
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def accelerator_memory() -> int | None:
    """Give the bytes of the first visible GPU; None without one that the installed torch uses.

    It asks the driver's own tool: asking torch would initialise CUDA in this process.
    """
    try:
        if version("torch").endswith("+cpu"):
            return None
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
        answer = subprocess.run(
            [*command, "-i", visible], capture_output=True, text=True, timeout=30, check=True
        )
        return int(answer.stdout.strip()) * _MEBIBYTE
    except (PackageNotFoundError, OSError, subprocess.SubprocessError, ValueError):
        return None


def machine_memory() -> int:
    """Give the bytes of RAM that this machine, or this container, has."""
    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no such control group, or "max"
        return total
