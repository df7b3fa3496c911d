"""Each image has the packages that its processes import, though it lacks most that are here."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from scripts.install import read_pins

ROOT = Path(__file__).parents[2]
OURS = {"protos", "common", "store", "services", "workers", "gateway", "cli"}
WITHOUT_VLLM = ("gateway", "services", "common", "store", "cli")
MODULES = ("gateway", "services.blob", "services.registry", "services.inference", "cli.main")

# Groups of several nodes need it, and whoever has them adds it.
ADDED = {"ray"}

# As `python -m MODULE --help`, where some packages cannot be found.
_RUN = """
import runpy, sys
absent, module = set(sys.argv[1].split(",")), sys.argv[2]

class Guard:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r} in the image", name=name)

sys.meta_path.insert(0, Guard)
sys.argv = [module, "--help"]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@cache
def importable(name: str) -> set[str]:
    """Give what can be imported where a lock file's packages are installed, by its first name."""
    pinned = {_normal(re.split(r"[=\[ ]", pin)[0]) for pin in read_pins(name)}
    return OURS | {
        top
        for top, distributions in packages_distributions().items()
        if pinned & {_normal(distribution) for distribution in distributions}
    }


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def engine() -> str:
    """Name the lock file that this environment was made of."""
    installed = packages_distributions()["vllm"]
    return "gpu" if "vllm" in installed else "cpu"


def imported(path: Path) -> Iterator[str]:
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def missing(folder: str, pins: str) -> list[str]:
    there = importable(pins) | set(sys.stdlib_module_names)
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / folder).rglob("*.py")
        for name in imported(path)
        if name not in there
    ]


@pytest.mark.parametrize("folder", WITHOUT_VLLM)
def test_what_needs_no_engine_imports_the_core_packages_alone(folder: str) -> None:
    assert missing(folder, "core") == []


def test_workers_import_what_is_pinned_for_an_engine() -> None:
    assert [words for words in missing("workers", engine()) if words.split()[-1] not in ADDED] == []


def run_without(absent: set[str], module: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", _RUN, ",".join(sorted(absent)), module]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("module", MODULES)
def test_a_process_starts_where_only_the_core_packages_are(module: str) -> None:
    absent = packages_distributions().keys() - importable("core")
    assert {"torch", "vllm", "transformers", "pytest"} <= absent
    done = run_without(absent, module)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


def test_a_process_does_not_start_without_what_it_imports() -> None:
    assert "No module named 'aiohttp' in the image" in run_without({"aiohttp"}, "gateway").stderr
