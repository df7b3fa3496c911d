"""vLLM's executors for an engine of several processes, with what this project needs."""

import os

from vllm.config import VllmConfig
from vllm.lora.request import LoRARequest
from vllm.v1.executor import Executor
from vllm.v1.executor.multiproc_executor import MultiprocExecutor

from workers.engine_process import note_process, prepare_process


class OfSeveral(Executor):
    """What they have in common: the engine's process computes nothing itself."""

    def _init_executor(self) -> None:
        note_process(self.vllm_config.instance_id)
        prepare_process(self.vllm_config.instance_id)
        super()._init_executor()  # type: ignore[safe-super]

    def add_lora(self, lora_request: LoRARequest) -> bool:
        """Load an adapter.

        A call that fails in all processes would leave the others' answers behind, and every
        later call would get an answer of the one before (vLLM 0.32). So none fails.

        Raises:
            ValueError: a process refused it; the message is its reason.
        """
        reasons: list[str] = self.collective_rpc("try_lora", args=(lora_request,))
        for reason in reasons:
            if reason:
                raise ValueError(reason)
        return True


class ProcessExecutor(OfSeveral, MultiprocExecutor):
    """Processes of this machine, forked from the engine's, which has everything imported."""

    def _init_executor(self) -> None:
        # vLLM makes it "spawn" where a GPU is in use already, and would on a CPU anyway.
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"
        super()._init_executor()
        self.collective_rpc("unlink_shared_memory")


def executor_class(config: VllmConfig) -> type[Executor]:
    """Choose the executor for an engine."""
    match config.parallel_config.distributed_executor_backend:
        case "mp":
            return ProcessExecutor
        case "ray":
            # It cannot be imported where Ray is not installed.
            from workers.ray_executor import RayExecutor

            return RayExecutor
    chosen: type[Executor] = Executor.get_class(config)
    return chosen
