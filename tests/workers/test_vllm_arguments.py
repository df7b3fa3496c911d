from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vllm.v1.sample.logits_processor import _load_logitsprocs_by_fqcns
from vllm.v1.worker.gpu.sample.logits_processor.loader import _load_v2_logitsprocs_by_fqcns

from workers.engine import Plan, Rest
from workers.logits.v1 import FirstRunnerSampler
from workers.logits.v2 import SecondRunnerSampler
from workers.vllm_arguments import engine_arguments, sampler_name


def test_each_of_vllm_s_model_runners_finds_its_sampler() -> None:
    first: Any = SimpleNamespace(use_v2_model_runner=False)
    assert _load_logitsprocs_by_fqcns([sampler_name(first)]) == [FirstRunnerSampler]
    second: Any = SimpleNamespace(use_v2_model_runner=True)
    assert _load_v2_logitsprocs_by_fqcns([sampler_name(second)]) == [SecondRunnerSampler]


def test_engines_that_are_planned_beside_each_other_start_on_one_gpu(tmp_path: Path) -> None:
    gpu = 80 * 2**30
    plan = Plan(memory=gpu // 8, kv_cache=gpu // 16)
    arguments = engine_arguments(
        "tiny", tmp_path, plan, pooling=False, max_sequences=8, accelerator=True, max_images=1
    )
    assert arguments.kv_cache_memory_bytes == plan.kv_cache
    assert arguments.gpu_memory_utilization * gpu <= plan.memory


@pytest.mark.parametrize("host", [0, 1 << 30])
def test_an_engine_is_started_so_that_it_can_sleep(tmp_path: Path, host: int) -> None:
    plan = Plan(memory=2 << 30, kv_cache=1 << 30, asleep=Rest(host))
    arguments = engine_arguments(
        "tiny", tmp_path, plan, pooling=False, max_sequences=8, accelerator=True, max_images=1
    )
    assert arguments.enable_sleep_mode == bool(host)


@pytest.mark.parametrize("accelerator", [False, True])
@pytest.mark.parametrize("compiles", [False, True])
def test_an_engine_compiles_as_planned(
    tmp_path: Path, *, accelerator: bool, compiles: bool
) -> None:
    plan = Plan(memory=2 << 30, kv_cache=1 << 30, compiles=compiles)
    arguments = engine_arguments(
        "tiny",
        tmp_path,
        plan,
        pooling=False,
        max_sequences=8,
        accelerator=accelerator,
        max_images=1,
    )
    assert arguments.enforce_eager != compiles
