"""The GPUs of this machine that engines can use."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile

_COMMAND = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
_HIDDEN = ("", "-1")


def computes_on_cpu() -> bool:
    """Tell whether the installed torch knows no accelerator, or is not there."""
    try:
        return version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return True


def visible_gpus() -> list[str]:
    """Name the GPUs that the installed torch uses, as `CUDA_VISIBLE_DEVICES` names them.

    It asks the driver's own tool where that variable does not say.
    """
    if computes_on_cpu():
        return []
    try:
        listed = os.environ.get("CUDA_VISIBLE_DEVICES")
        if listed is not None:
            names = (name.strip() for name in listed.split(","))
            # CUDA hides what stands behind a name that leads nowhere.
            return list(takewhile(lambda name: name not in _HIDDEN, names))
        answer = subprocess.run(_COMMAND, capture_output=True, text=True, timeout=30, check=True)
        return answer.stdout.split()
    except (OSError, subprocess.SubprocessError):
        return []
