"""vLLM's arguments for an engine."""

from pathlib import Path
from typing import Any, cast

from vllm.config import StructuredOutputsConfig, VllmConfig
from vllm.config.lora import MaxLoRARanks
from vllm.engine.arg_utils import AsyncEngineArgs

from workers.engine import Plan
from workers.gguf.paths import SINGLE_FILE
from workers.parallelism import Parallelism

# Of a GPU's memory. vLLM wants the share that it may use to be free when an engine starts, most of
# the GPU by default: a second engine beside the first would be refused. How large an engine gets,
# the plan says.
_LEAST_SHARE = 0.01


def engine_arguments(
    name: str,
    folder: Path,
    plan: Plan,
    *,
    pooling: bool,
    max_sequences: int,
    accelerator: bool,
    max_images: int,
    parallelism: Parallelism = Parallelism(),  # noqa: B008
) -> AsyncEngineArgs:
    """Give vLLM's arguments for a model in a folder."""
    weights = folder / SINGLE_FILE
    return AsyncEngineArgs(
        model=str(folder),
        **(_of_gguf(weights) if weights.exists() else {}),
        served_model_name=name,
        runner="pooling" if pooling else "generate",
        dtype=plan.dtype,
        max_model_len=plan.context_length or -1,
        max_num_seqs=max_sequences,
        kv_cache_memory_bytes=plan.kv_cache // parallelism.size or None,
        gpu_memory_utilization=(
            _LEAST_SHARE if accelerator else AsyncEngineArgs.gpu_memory_utilization
        ),
        enable_prefix_caching=not pooling,
        enforce_eager=not plan.compiles,
        limit_mm_per_prompt={"image": max_images, "video": 0, "audio": 0},
        # It would take gigabytes of memory that nobody planned, in both processes.
        mm_processor_cache_gb=0,
        tensor_parallel_size=parallelism.tensor,
        pipeline_parallel_size=parallelism.pipeline,
        distributed_executor_backend=parallelism.executor,
        worker_cls="workers.engine_core.EngineWorker",
        additional_config={"threads": plan.threads},
        enable_lora=bool(plan.lora_rank),
        max_lora_rank=cast(MaxLoRARanks, plan.lora_rank or 16),
        max_loras=plan.max_adapters or 1,
        structured_outputs_config=StructuredOutputsConfig(
            backend="guidance", disable_any_whitespace=True
        ),
        enable_sleep_mode=bool(plan.asleep.host),
        trust_remote_code=False,
        disable_log_stats=True,
        use_tqdm_on_load=False,
        seed=0,
    )


def _of_gguf(weights: Path) -> dict[str, Any]:
    """Give the arguments with which `vllm-gguf-plugin` reads the weights beside a `config.json`."""
    return {"model_weights": str(weights), "load_format": "gguf", "quantization": "gguf"}


def sampler_name(config: VllmConfig) -> str:
    """Name our sampler's class for the model runner that the engine will have."""
    if config.use_v2_model_runner:
        return "workers.logits.v2:SecondRunnerSampler"
    return "workers.logits.v1:FirstRunnerSampler"
