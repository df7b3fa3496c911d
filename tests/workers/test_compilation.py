"""What torch and vLLM are given for models that are compiled for a CPU."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from workers.compilation import compile_or_compute, compiling, whole
from workers.vllm_environment import NO_COMPILATION


@pytest.fixture(autouse=True)
def dynamo() -> Iterator[None]:
    with torch._dynamo.config.patch(disable=False):
        yield


class Layer(nn.Module):
    """One that vLLM would compile."""

    do_not_compile = False


class Runner:
    """Warms up as vLLM's model runner does, with a model that fails where it compiles."""

    def __init__(self, *, fails: bool) -> None:
        self.model_config = SimpleNamespace(served_model_name="tiny")
        self.layer = Layer()
        self.warmed: list[bool] = []
        self._fails = fails

    def get_model(self) -> nn.Module:
        return nn.Sequential(self.layer)

    def warming_up_model(self) -> None:
        if self._fails and not self.layer.do_not_compile:
            raise RuntimeError("no compiler")
        self.warmed.append(not self.layer.do_not_compile)


@pytest.mark.parametrize("fails", [False, True])
def test_a_model_that_cannot_be_compiled_is_computed(
    caplog: pytest.LogCaptureFixture, *, fails: bool
) -> None:
    runner: Any = Runner(fails=fails)
    compile_or_compute(runner)
    runner.warming_up_model()
    assert runner.warmed == [not fails]
    assert ("tiny is not compiled: no compiler" in caplog.text) == fails


def test_nothing_compiles_but_what_is_made_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_COMPILATION, "1")
    with compiling():
        assert NO_COMPILATION not in os.environ
    assert os.environ[NO_COMPILATION] == "1"


def test_an_output_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "kernel.so"

    def run(command: str, directory: str) -> None:
        subprocess.run(command, shell=True, cwd=directory, check=True)
        assert not target.exists()

    whole(run)(f"sort /proc/self/comm -o {target}", str(tmp_path))
    assert target.read_text() == "sort\n"


def test_an_output_that_is_not_finished_has_no_name(tmp_path: Path) -> None:
    target = tmp_path / "kernel.so"

    def run(command: str, directory: str) -> None:
        subprocess.run(command, shell=True, cwd=directory, check=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole(run)(f"sort /proc/self/comm -o {target}", str(tmp_path))
    assert not target.exists()
