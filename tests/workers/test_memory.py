"""The memory of GPUs, told by a driver's tool that stands in for the real one."""

from pathlib import Path

import pytest

from workers.memory import accelerator_memory

MEBIBYTE = 1 << 20
SMI = """#!/bin/sh
case "$*" in
*-i\\ 0,1) printf '81559\\n40960\\n' ;;
*-i\\ 0) echo 81559 ;;
*) exit 1 ;;
esac
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process two GPUs, and a torch that uses them."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(SMI)
    tool.chmod(0o755)
    package = tmp_path / "torch-2.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(("parts", "memory"), [(1, 81559), (2, 2 * 40960), (4, 4 * 40960)])
def test_the_smallest_gpu_counts_for_all(parts: int, memory: int) -> None:
    assert accelerator_memory(parts) == memory * MEBIBYTE
