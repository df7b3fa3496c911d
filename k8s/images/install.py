"""Install what an image needs into .venv: `python3 -m k8s.images.install core|cpu|gpu [MORE ...]`.

As scripts/install.py does, but without what only developers need, and alike in every build.
More packages may be named, Ray for instance, as long as they get on with the pins.
"""

from __future__ import annotations

import os
import sys

from scripts.install import (
    PYTHON,
    ROOT,
    TORCH_DONE,
    VENV,
    check_machine,
    compile_all,
    install_pinned,
    make_venv,
    read_pins,
    run,
)

APPLICATION = ROOT / "app"
# The kernel keeps from process 1 what it does not handle, so that one that was asked to leave
# while it still imports would be waited for until it is killed.
LEAVE_EARLY = (
    "import os, signal; "
    "os.getpid() == 1 and signal.signal(signal.SIGTERM, lambda *_: os._exit(143))"
)
# Neither archives in the image, nor sets that are written in an order of chance.
FOR_IMAGES = {"PIP_NO_CACHE_DIR": "1", "PIP_ROOT_USER_ACTION": "ignore", "PYTHONHASHSEED": "0"}
# Python would compare a time that differs from build to build, and then the source.
UNCHECKED = ("--invalidation-mode", "unchecked-hash")


def main() -> None:
    """Make the virtual environment."""
    name, *more = sys.argv[1:]
    os.environ.update(FOR_IMAGES)
    check_machine()
    make_venv(name)
    install_pinned(name)
    if more:
        constraints = ROOT / "requirements" / f"{name}.txt"
        run(PYTHON, "-m", "pip", "install", "-qq", "-c", constraints, *more)
    configure_python()
    drop_unused(name)
    compile_all(*UNCHECKED)
    TORCH_DONE.unlink(missing_ok=True)  # it is for later installs


def configure_python() -> None:
    """Tell every Python here where our own packages are, and how process 1 leaves by default."""
    [packages] = VENV.glob("lib/python*/site-packages")
    (packages / "paddock.pth").write_text(f"{APPLICATION}\n{LEAVE_EARLY}\n")


def drop_unused(name: str) -> None:
    """Remove what installs, and is not pinned, and what is pinned and never runs."""
    pinned = {pin.partition("==")[0] for pin in read_pins(name)}
    unused = [installer for installer in ("setuptools", "wheel", "pip") if installer not in pinned]
    if name == "cpu":
        # A gigabyte, which vLLM uses on a CPU if it was built for one. PyPI's was not.
        unused.append("triton")
    present = [found for found in unused if any(VENV.glob(f"lib/*/site-packages/{found}-*"))]
    run(PYTHON, "-m", "pip", "uninstall", "-qq", "-y", *present)


if __name__ == "__main__":
    main()
