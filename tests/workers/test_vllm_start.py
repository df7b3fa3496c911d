from types import SimpleNamespace
from typing import Any

from vllm.v1.sample.logits_processor import _load_logitsprocs_by_fqcns
from vllm.v1.worker.gpu.sample.logits_processor.loader import _load_v2_logitsprocs_by_fqcns

from workers.logits.v1 import FirstRunnerSampler
from workers.logits.v2 import SecondRunnerSampler
from workers.vllm_start import sampler_name


def test_each_of_vllm_s_model_runners_finds_its_sampler() -> None:
    first: Any = SimpleNamespace(use_v2_model_runner=False)
    assert _load_logitsprocs_by_fqcns([sampler_name(first)]) == [FirstRunnerSampler]
    second: Any = SimpleNamespace(use_v2_model_runner=True)
    assert _load_v2_logitsprocs_by_fqcns([sampler_name(second)]) == [SecondRunnerSampler]
