"""Processes meet only through the protos: who may import whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ALLOWED = {
    "common": {"protos"},
    "store": {"common"},
    "services/blob": {"protos", "common", "store"},
    "services/registry": {"protos", "common"},
    "services/inference": {"protos", "common"},
    "workers": {"protos", "common"},
    "gateway": {"protos", "common"},
    "cli": {"protos", "common"},
}
OURS = {"protos", "common", "store", "services", "workers", "gateway", "cli", "examples", "tests"}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    own = folder.replace("/", ".")
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files
        for module in imported(path)
        if module.split(".")[0] in OURS
        and not f"{module}.".startswith(f"{own}.")
        and module.split(".")[0] not in ALLOWED[folder]
    ]
    assert not wrong
