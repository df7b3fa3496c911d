"""What runs in an engine's own process: vLLM's worker class with what this project needs."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from vllm.platforms import current_platform

from workers.batch_invariance import attend_whole_contexts, multiply_in_pairs
from workers.lora.cpu import use_own_multiplication
from workers.structured_output import use_continuing_manager
from workers.vllm_environment import FAILURES_VARIABLE

if TYPE_CHECKING or not current_platform.is_cpu():
    from vllm.v1.worker.gpu_worker import Worker as _Base
else:
    from vllm.v1.worker.cpu_worker import CPUWorker as _Base


use_continuing_manager()


class EngineWorker(_Base):
    """Reports why an engine does not start, and prepares the CPU.

    The engine's `additional_config` has `threads`: the number of CPU threads that compute.
    """

    def __init__(self, vllm_config: Any, *arguments: Any, **named: Any) -> None:
        if "workers.fork_server" not in sys.modules:
            raise RuntimeError("the engine was not forked from the worker's fork server")
        reason = Path(os.environ[FAILURES_VARIABLE]) / vllm_config.instance_id
        logging.getLogger("vllm").addHandler(_FailureFile(reason))
        # Ctrl-C reaches the whole group; whether an engine stops is its worker's decision.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
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

    def _key_heads(self) -> int:
        heads: int = self.vllm_config.model_config.get_num_kv_heads(self.parallel_config)
        return heads

    def load_model(self, **options: Any) -> None:
        """Load the model, and make its results independent of the batch."""
        super().load_model(**options)
        if current_platform.is_cpu():
            multiply_in_pairs(self.model_runner.get_model())


class _FailureFile(logging.Handler):
    """Keeps the exception that vLLM logs when an engine does not start."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.ERROR)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] and self._path.parent.exists():
            error = record.exc_info[1]
            self._path.write_text(str(error) or type(error).__name__, encoding="utf-8")
