"""What computes in an engine's processes: vLLM's worker class with what this project needs."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from vllm.config import CompilationMode
from vllm.distributed.parallel_state import get_pp_group
from vllm.platforms import current_platform

from workers.batch_invariance import attend_whole_contexts, multiply_alike
from workers.compilation import compile_or_compute, compiling
from workers.engine_process import note_process, prepare_process
from workers.lifeline import end_with
from workers.lora.cpu import use_own_multiplication
from workers.structured_output import use_continuing_manager

if TYPE_CHECKING or not current_platform.is_cpu():
    from vllm.v1.worker.gpu_worker import Worker as _Base
else:
    from vllm.v1.worker.cpu_worker import CPUWorker as _Base


_SHARED_MEMORY = Path("/dev/shm")

use_continuing_manager()


class EngineWorker(_Base):
    """Reports why an engine does not start, and prepares the CPU.

    It runs in the engine's own process, or is one of several in processes of their own. The
    engine's `additional_config` has `threads`: the number of CPU threads that each computes with.
    """

    def __init__(self, vllm_config: Any, *arguments: Any, **named: Any) -> None:
        executor = vllm_config.parallel_config.distributed_executor_backend
        self._alone = executor == "uni"
        if self._alone:
            if "workers.fork_server" not in sys.modules:
                raise RuntimeError("the engine was not forked from the worker's fork server")
            note_process(vllm_config.instance_id)
        if executor == "mp":
            end_with(os.getppid())
        if executor != "ray":  # which looks after its actors, and tells their failures
            prepare_process(vllm_config.instance_id)
        self._threads: int = vllm_config.additional_config["threads"]
        super().__init__(vllm_config, *arguments, **named)

    def init_device(self) -> None:
        """Prepare the CPU before vLLM does."""
        if current_platform.is_cpu():
            # The kernels use AMX without asking Linux for the permission, and die of SIGILL.
            if torch.cpu._is_amx_tile_supported():
                torch.cpu._init_amx()
            torch.set_num_threads(self._threads)
            attend_whole_contexts(os.environ, self._key_heads(), self._threads)
            use_own_multiplication()
        super().init_device()
        if self._alone:
            # Where processes would have met; vLLM leaves one of these behind for each engine.
            Path(self.distributed_init_method.removeprefix("file://")).unlink(missing_ok=True)

    def _key_heads(self) -> int:
        heads: int = self.vllm_config.model_config.get_num_kv_heads(self.parallel_config)
        return heads

    def load_model(self, **options: Any) -> None:
        """Load the model, and make its results independent of the batch."""
        if not current_platform.is_cpu():
            super().load_model(**options)
            return
        compiles = self.compilation_config.mode != CompilationMode.NONE
        with compiling() if compiles else nullcontext():
            super().load_model(**options)
        multiply_alike(self.model_runner.get_model())
        self._prepare_pipeline()
        if compiles:
            compile_or_compute(self.model_runner)

    def _prepare_pipeline(self) -> None:
        """Make what comes from the part of the pipeline before this one.

        vLLM does so when it warms up, which it leaves out on a CPU that compiles nothing.
        """
        runner: Any = self.model_runner
        if not get_pp_group().is_first_rank and runner.intermediate_tensors is None:
            runner.intermediate_tensors = runner.model.make_empty_intermediate_tensors(
                batch_size=runner.max_num_tokens, dtype=self.model_config.dtype, device=self.device
            )

    def try_lora(self, request: Any) -> str:
        """Load an adapter; give the reason why it was refused, or nothing."""
        try:
            self.add_lora(request)
        except Exception as error:
            return str(error) or type(error).__name__
        return ""

    def unlink_shared_memory(self) -> None:
        """Remove the names of what processes on a CPU share, which all of them have opened by now.

        vLLM never does (0.32): megabytes would stay in the machine's memory for each engine.
        """
        if name := os.environ.get("VLLM_DIST_IDENT"):
            for segment in _SHARED_MEMORY.glob(f"{name}-*"):
                segment.unlink(missing_ok=True)
