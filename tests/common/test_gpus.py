"""Which GPUs there are; the driver's tool and the installed torch are stand-ins on the path."""

import subprocess
import sys
from pathlib import Path

import pytest

ASK = "from common.gpus import visible_gpus; print(*visible_gpus())"


def gpus(folder: Path, torch: str, **environment: str) -> list[str]:
    """Ask in a process that finds an installed torch of this version, and two GPUs."""
    metadata = folder / f"torch-{torch}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {torch}\n")
    tool = folder / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    answer = subprocess.run(
        [sys.executable, "-c", ASK],
        env={"PYTHONPATH": f"{folder}:{Path.cwd()}", "PATH": f"{folder}:/usr/bin:/bin"}
        | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.split()


@pytest.mark.parametrize(
    ("visible", "found"), [("1,0", ["1", "0"]), ("1,-1,0", ["1"]), ("", []), ("-1", [])]
)
def test_the_variable_says_which_gpus_may_be_used(
    tmp_path: Path, visible: str, found: list[str]
) -> None:
    assert gpus(tmp_path, "2.13.0", CUDA_VISIBLE_DEVICES=visible) == found


def test_the_drivers_tool_says_it_where_the_variable_does_not(tmp_path: Path) -> None:
    assert gpus(tmp_path, "2.13.0") == ["0", "1"]


def test_a_torch_for_cpus_uses_none(tmp_path: Path) -> None:
    assert gpus(tmp_path, "2.13.0+cpu", CUDA_VISIBLE_DEVICES="0") == []
