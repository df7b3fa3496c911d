"""What vLLM is told through the environment."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.vllm_environment import (
    COMPILES_VARIABLE,
    NO_COMPILATION,
    cpu_kind,
    prepare_environment,
)


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


def test_what_is_compiled_for_a_cpu_is_kept_by_its_kind(tmp_path: Path) -> None:
    os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)
    prepare_environment("failures", accelerator=False, compiles=True, compiled=tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / cpu_kind() / "inductor")


@pytest.mark.parametrize("compiles", [False, True])
def test_on_a_cpu_nothing_but_models_is_compiled(*, compiles: bool) -> None:
    os.environ.pop(COMPILES_VARIABLE, None)
    prepare_environment("failures", accelerator=False, compiles=compiles)
    assert os.environ[NO_COMPILATION] == "1"
    assert (COMPILES_VARIABLE in os.environ) == compiles


def test_cpus_that_can_do_different_things_are_of_different_kinds(tmp_path: Path) -> None:
    def kind(*lines: str) -> str:
        (tmp_path / "cpuinfo").write_text("\n".join(lines))
        return cpu_kind(tmp_path / "cpuinfo")

    modern = kind("cpu MHz\t: 3000", "flags\t\t: sse avx2 avx512f")
    assert modern != kind("cpu MHz\t: 3000", "flags\t\t: sse avx2")
    assert modern == kind("cpu MHz\t: 1200", "flags\t\t: avx512f sse avx2")
    assert cpu_kind(tmp_path / "none")
