"""Install Paddock and all it needs into .venv: `python3 scripts/install.py cpu|gpu`.

Runs under the machine's own Python, before anything is installed: standard library only.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
PIP = (PYTHON, "-m", "pip", "install", "-qq", "--no-deps", "--no-compile", "--no-input")
UNFINISHED = VENV / ".unfinished"  # names the engine while an install runs, or was cut off
TORCH_DONE = VENV / ".torch"  # the pins of torch that are installed and mended

# The home of torch's builds without CUDA, which PyPI has not got. Only torch and its companions
# are looked for there, so that nothing else can come from a second index.
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


def main() -> None:
    """Install, or go on with an install that was cut off."""
    engine = sys.argv[1] if len(sys.argv) == 2 else ""
    if engine not in ("cpu", "gpu"):
        sys.exit("usage: install.py cpu|gpu")
    check_machine()
    make_venv(engine)
    if UNFINISHED.exists():
        drop_half_installed()
    UNFINISHED.write_text(engine)
    print(f"Installing vLLM for {engine.upper()} and what it needs into .venv", flush=True)
    install_pinned(engine, *read_pins("dev"))
    # `compat` puts the tree itself on the path, so that new packages are seen at once.
    run(*PIP, "--no-build-isolation", "--config-settings", "editable_mode=compat", "-e", ROOT)
    compile_all()
    UNFINISHED.unlink()


def install_pinned(name: str, *more: str) -> None:
    """Install the requirements of a lock file, and some more."""
    pins = read_pins(name)
    if name == "gpu":
        # Exactly: 2.13.0+cpu, which pip's own settings may find, would do for `==`.
        pins = [pin.replace("==", "===", 1) if pin.startswith("torch") else pin for pin in pins]
    torch = [pin for pin in pins if pin.startswith("torch") and name == "cpu"]
    run(*PIP, *(pin for pin in pins if pin not in torch), *more)
    if torch:
        install_torch(torch)


def check_machine() -> None:
    """Say what is missing in words, before pip does in others."""
    if sys.platform != "linux":
        sys.exit("Paddock's engine runs on Linux; on Windows, use WSL.")
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        version = ".".join(map(str, sys.version_info[:2]))
        sys.exit(
            f"Paddock needs Python 3.11 to 3.13, and this is {version}. "
            "Name another: make setup PYTHON=python3.12"
        )


def make_venv(engine: str) -> None:
    """Create .venv, unless a working one is there that holds no other engine."""
    other = VENV / (".installed-gpu" if engine == "cpu" else ".installed-cpu")
    begun = UNFINISHED.read_text().strip() if UNFINISHED.exists() else engine
    if quietly(PYTHON, "-m", "pip", "--version") and begun == engine and not other.exists():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    if not run_ok(sys.executable, "-m", "venv", VENV):
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit("Could not create .venv (on Debian and Ubuntu: apt install python3-venv).")


def drop_half_installed() -> None:
    """Forget packages that a killed pip left in pieces: the next pip would take them for whole."""
    TORCH_DONE.unlink(missing_ok=True)
    for info in VENV.glob("lib/python*/site-packages/*.dist-info"):
        record = info / "RECORD"
        rows = record.read_text().splitlines() if record.exists() else []
        files = [info.parent / row.rsplit(",", 2)[0].strip('"') for row in rows]
        if not (info / "INSTALLER").exists() or not files or not all(f.exists() for f in files):
            shutil.rmtree(info)


def read_pins(name: str) -> list[str]:
    """Return the requirements of a lock file, each with its marker."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return [line for line in lines if line and not line.lstrip().startswith("#")]


def install_torch(pins: list[str]) -> None:
    """Install torch's CPU builds: those that pip's own settings find, else those of their index."""
    if TORCH_DONE.exists() and TORCH_DONE.read_text() == "\n".join(pins):
        return
    if not quietly(*PIP, *pins):
        run(*PIP, "--extra-index-url", TORCH_INDEX, *pins)
    run(PYTHON, ROOT / "scripts" / "mend_torch.py")
    TORCH_DONE.write_text("\n".join(pins))


def compile_all(*more: str) -> None:
    """Write bytecode on all cores, where pip would take one."""
    options = ("-qq", "-j", "0", "-x", "/(tests?|testing)/", *more)
    quietly(PYTHON, "-m", "compileall", *options, VENV / "lib")  # fails on files for newer Pythons


def run(*command: str | Path) -> None:
    """Run a command, and end if it fails."""
    if not run_ok(*command):
        sys.exit(1)


def run_ok(*command: str | Path) -> bool:
    """Run a command and tell whether it succeeded."""
    return subprocess.run([str(part) for part in command], cwd=ROOT).returncode == 0


def quietly(*command: str | Path) -> bool:
    """Run a command unseen and tell whether it succeeded."""
    try:
        return subprocess.run([str(part) for part in command], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    main()
