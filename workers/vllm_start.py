"""Starting and ending vLLM: its process, and why it did not start."""

import asyncio
import json
import os
import signal
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
import pydantic
import vllm.envs
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.model_executor.models.registry import ModelRegistry
from vllm.platforms import current_platform
from vllm.v1.engine.async_llm import AsyncLLM

from common.errors import LoadFailed
from workers.engine_process import process_file, reason_file
from workers.executors import executor_class
from workers.vllm_arguments import sampler_name
from workers.vllm_statistics import NoMetrics

# vLLM's own setting knows `fork` and `spawn` alone. A fork of this process, which is full of
# threads, could deadlock; a spawned one would import for ten seconds.
vllm.envs.VLLM_WORKER_MULTIPROC_METHOD = "forkserver"  # type: ignore[assignment]

# For an engine of several processes, which share memory that has a name until it is released.
_SHUTDOWN_SECONDS = 5.0
# What was killed is gone at once, unless it held gigabytes, or a GPU.
_DEATH_SECONDS = 30.0
# Until the process of a start that is given up is there to be killed.
_KILL_INTERVAL = 0.05


async def start(arguments: AsyncEngineArgs) -> AsyncLLM:
    """Start an engine's process and wait until it is ready.

    Cancelled, it kills the process, wherever that is, and waits for its end.

    Raises:
        LoadFailed: vLLM refused the model; the message is vLLM's reason.
    """
    launch = _Launch(arguments)
    starting = asyncio.create_task(asyncio.to_thread(launch.run))
    cancelled = False
    while not starting.done():
        try:
            await asyncio.wait({starting}, timeout=_KILL_INTERVAL if cancelled else None)
        except asyncio.CancelledError:
            cancelled = True
        if cancelled:
            launch.kill()
    if cancelled:
        if not starting.exception():
            await asyncio.to_thread(end, starting.result())
        raise asyncio.CancelledError
    return starting.result()


class _Launch:
    """One start of vLLM."""

    def __init__(self, arguments: AsyncEngineArgs) -> None:
        self._arguments = arguments
        self._instance: str | None = None

    def run(self) -> AsyncLLM:
        """Start the process; blocks until it is ready, or has failed."""
        try:
            return self._start()
        except Exception as error:
            reason = _explain(error, self._instance)
            raise LoadFailed(f"the engine did not start: {reason}") from error
        finally:
            if self._instance:
                _forget(self._instance)

    def kill(self) -> None:
        """Kill the process if it is there already."""
        if self._instance:
            with suppress(FileNotFoundError, ValueError, ProcessLookupError):
                os.kill(int(process_file(self._instance).read_text()), signal.SIGKILL)

    def _start(self) -> AsyncLLM:
        if current_platform.is_cpu():
            _import_architectures(Path(self._arguments.model))
        config = self._arguments.create_engine_config()
        if self._arguments.runner == "generate":
            config.model_config.logits_processors = [sampler_name(config)]
        self._instance = config.instance_id
        return AsyncLLM(
            vllm_config=config,
            executor_class=executor_class(config),
            log_stats=False,
            log_requests=False,
            stat_loggers=[NoMetrics],
        )


def end(llm: AsyncLLM) -> None:
    """End an engine; blocks until its processes are gone and their memory is free.

    One process alone is killed: it has nothing to put in order, which would take seconds.
    """
    processes = _processes(llm)
    alone = llm.vllm_config.parallel_config.distributed_executor_backend == "uni"
    llm.shutdown(timeout=0 if alone else _SHUTDOWN_SECONDS)
    psutil.wait_procs(processes, timeout=_DEATH_SECONDS)
    _forget(llm.vllm_config.instance_id)


def _processes(llm: AsyncLLM) -> list[psutil.Process]:
    """List the processes of an engine on this machine that are there still."""
    found: list[psutil.Process] = []
    manager = llm.engine_core.resources.engine_manager
    for process in manager.processes if manager else ():
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(process.pid)
            found += [own, *own.children(recursive=True)]
    return found


def death_reason(llm: AsyncLLM) -> str:
    """Say why an engine's process died, as far as it could tell."""
    try:
        return reason_file(llm.vllm_config.instance_id).read_text(encoding="utf-8")
    except FileNotFoundError:
        return "its process died"


def _forget(instance: str) -> None:
    """Remove what an engine that has started, or has ended, has left."""
    reason_file(instance).unlink(missing_ok=True)
    process_file(instance).unlink(missing_ok=True)


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


def _explain(error: Exception, instance: str | None) -> str:
    """Give the shortest text that says what was wrong, from the engine's process if it failed."""
    if instance and reason_file(instance).exists():
        return reason_file(instance).read_text(encoding="utf-8")
    if isinstance(error, pydantic.ValidationError):
        return "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
    return str(error) or type(error).__name__
