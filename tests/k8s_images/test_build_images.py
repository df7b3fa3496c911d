"""`make images` tells whichever builder is there what to build."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "build_images.py"

Build = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Run the script where the programs in a folder are all there are."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(SCRIPT), *arguments]
        return subprocess.run(
            command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, cwd=tmp_path
        )

    return run


def install_builder(folder: Path, name: str, status: int = 0) -> None:
    builder = folder / name
    builder.write_text(f'#!/bin/sh\necho {name} "$@"\nexit {status}\n')
    builder.chmod(0o755)


@pytest.mark.parametrize("builder", ["buildah", "docker"])
@pytest.mark.parametrize("engine", ["cpu", "gpu"])
def test_both_images_are_built_with_what_was_asked_for(
    build: Build, tmp_path: Path, builder: str, engine: str
) -> None:
    install_builder(tmp_path, builder)
    done = build(
        engine, "--registry=example.org/me", "--tag=7", "--base=b", "--secret=id=pip,src=x"
    )
    assert done.returncode == 0, done.stderr
    services, worker = [line for line in done.stdout.splitlines() if line.startswith(builder)]
    assert "--target=paddock " in services
    assert f"--target=paddock-worker-{engine} " in worker
    assert f"--tag=example.org/me/paddock-worker-{engine}:7 " in worker
    for line in (services, worker):
        assert "--build-arg=BASE=b " in line
        assert "--secret=id=pip,src=x " in line
        assert line.endswith(str(ROOT))


def test_the_first_image_that_cannot_be_built_ends_it(build: Build, tmp_path: Path) -> None:
    install_builder(tmp_path, "buildah", status=3)
    done = build("cpu")
    assert done.returncode == 3
    assert "--target=paddock-worker-cpu" not in done.stdout


def test_without_a_builder_it_says_what_is_needed(build: Build) -> None:
    done = build("cpu")
    assert done.returncode == 1
    assert done.stderr == "Images are built with buildah or docker, and neither is here.\n"
