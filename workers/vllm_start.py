"""Starting and ending vLLM: its arguments, its process, and why it did not start."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, cast

import pydantic
import vllm.envs
from vllm.config import StructuredOutputsConfig, VllmConfig
from vllm.config.lora import MaxLoRARanks
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.model_executor.models.registry import ModelRegistry
from vllm.platforms import current_platform
from vllm.v1.engine.async_llm import AsyncLLM

from common.errors import LoadFailed
from workers.engine import Plan
from workers.executors import executor_class
from workers.gguf.paths import SINGLE_FILE
from workers.parallelism import Parallelism
from workers.vllm_environment import FAILURES_VARIABLE
from workers.vllm_statistics import LatestStatistics

# vLLM's own setting knows `fork` and `spawn` alone. A fork of this process, which is full of
# threads, could deadlock; a spawned one would import for ten seconds.
vllm.envs.VLLM_WORKER_MULTIPROC_METHOD = "forkserver"  # type: ignore[assignment]

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
        enforce_eager=not accelerator,
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
        trust_remote_code=False,
        disable_log_stats=True,
        use_tqdm_on_load=False,
        seed=0,
    )


def _of_gguf(weights: Path) -> dict[str, Any]:
    """Give the arguments with which `vllm-gguf-plugin` reads the weights beside a `config.json`."""
    return {"model_weights": str(weights), "load_format": "gguf", "quantization": "gguf"}


def start(arguments: AsyncEngineArgs) -> AsyncLLM:
    """Start an engine's process and wait until it is ready; blocks for seconds.

    Raises:
        LoadFailed: vLLM refused the model; the message is vLLM's reason.
    """
    reason: Path | None = None
    try:
        if current_platform.is_cpu():
            _import_architectures(Path(arguments.model))
        config = arguments.create_engine_config()
        if arguments.runner == "generate":
            config.model_config.logits_processors = [sampler_name(config)]
        reason = _reason_file(config.instance_id)
        return AsyncLLM(
            vllm_config=config,
            executor_class=executor_class(config),
            log_stats=False,
            log_requests=False,
            stat_loggers=[LatestStatistics],
        )
    except Exception as error:
        raise LoadFailed(f"the engine did not start: {_explain(error, reason)}") from error
    finally:
        if reason:
            reason.unlink(missing_ok=True)


def forget_failures(llm: AsyncLLM) -> None:
    """Remove what an engine that ends has left."""
    _reason_file(llm.vllm_config.instance_id).unlink(missing_ok=True)


def death_reason(llm: AsyncLLM) -> str:
    """Say why an engine's process died, as far as it could tell."""
    try:
        return _reason_file(llm.vllm_config.instance_id).read_text(encoding="utf-8")
    except FileNotFoundError:
        return "its process died"


def sampler_name(config: VllmConfig) -> str:
    """Name our sampler's class for the model runner that the engine will have."""
    if config.use_v2_model_runner:
        return "workers.logits.v2:SecondRunnerSampler"
    return "workers.logits.v1:FirstRunnerSampler"


def _reason_file(instance: str) -> Path:
    return Path(os.environ[FAILURES_VARIABLE]) / instance


def _import_architectures(folder: Path) -> None:
    """Tell vLLM's registry about a model's classes from this process.

    Left to itself it inspects them in another, so as not to touch a GPU here: nine seconds
    where half of one is enough, and a process that would outlive this one.
    """
    config = json.loads((folder / "config.json").read_bytes())
    for architecture in config.get("architectures") or ():
        _import_architecture(architecture)


@cache
def _import_architecture(architecture: str) -> None:
    if known := ModelRegistry.models.get(architecture):
        ModelRegistry.register_model(architecture, known.load_model_cls())


def _explain(error: Exception, reason: Path | None) -> str:
    """Give the shortest text that says what was wrong, from the engine's process if it failed."""
    if reason and reason.exists():
        return reason.read_text(encoding="utf-8")
    if isinstance(error, pydantic.ValidationError):
        return "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
    return str(error) or type(error).__name__
