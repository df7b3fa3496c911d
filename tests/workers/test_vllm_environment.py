"""What vLLM is told through the environment."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.vllm_environment import prepare_environment


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_what_is_compiled_for_a_gpu_is_kept(tmp_path: Path) -> None:
    os.environ.pop("VLLM_CACHE_ROOT", None)
    os.environ["TRITON_CACHE_DIR"] = "/elsewhere"
    prepare_environment("failures", accelerator=True, compiled=tmp_path)
    assert os.environ["VLLM_CACHE_ROOT"] == str(tmp_path / "vllm")
    assert os.environ["TRITON_CACHE_DIR"] == "/elsewhere"


def test_nothing_is_kept_without_a_folder() -> None:
    os.environ.pop("VLLM_CACHE_ROOT", None)
    prepare_environment("failures", accelerator=False)
    assert "VLLM_CACHE_ROOT" not in os.environ
