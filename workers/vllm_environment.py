"""The environment that vLLM reads, set before it is imported anywhere."""

import hashlib
import logging
import os
import platform
import warnings
from pathlib import Path

FAILURES_VARIABLE = "PADDOCK_ENGINE_FAILURES"
"""The folder where engines leave the reasons of failed starts."""

WORKER_VARIABLE = "PADDOCK_WORKER_PROCESS"
"""The process that engines belong to, by its number."""

COMPILES_VARIABLE = "PADDOCK_ENGINES_COMPILE"
"""Set where engines on a CPU compile their models."""

NO_COMPILATION = "TORCHDYNAMO_DISABLE"
"""While it is 1, torch takes a function that is to be compiled as it is."""

_SETTINGS = {
    # On a CPU vLLM honours `distributed_executor_backend="uni"` with this alone. The engine
    # has its own process all the same.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # Everything an engine needs lies in the model's folder.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_CPU_SETTINGS = {
    # Without it the first request for log probabilities holds every sequence up for twenty
    # seconds, while a function of the sampler is compiled. (Models are made without it.)
    NO_COMPILATION: "1",
    # vLLM would give each of an engine's processes a NUMA node, and fail for want of nodes. How
    # many threads compute is in the plan.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
_DEFAULTS = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "TRANSFORMERS_VERBOSITY": "error",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore",
}


_COMPILED = {
    "VLLM_CACHE_ROOT": "vllm",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
}
"""Where what is compiled is kept, below one folder."""


def prepare_environment(
    failures: str, *, accelerator: bool, compiles: bool = False, compiled: Path | None = None
) -> None:
    """Set the variables.

    Args:
        failures: the folder where engines leave the reasons of failed starts.
        accelerator: whether they compute on one.
        compiles: whether they compile their models.
        compiled: the folder for what they compile, unless the environment names others.
    """
    os.environ.update(_SETTINGS)
    if not accelerator:
        os.environ.update(_CPU_SETTINGS)
        if compiles:
            os.environ[COMPILES_VARIABLE] = "1"
        compiled = compiled / cpu_kind() if compiled else None
    for name, folder in _COMPILED.items():
        if compiled:
            os.environ.setdefault(name, str(compiled / folder))
    os.environ[FAILURES_VARIABLE] = failures
    os.environ[WORKER_VARIABLE] = str(os.getpid())
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])


def cpu_kind(information: Path = Path("/proc/cpuinfo")) -> str:
    """Name the CPU by what it can do: another one's machine code may be wrong on it."""
    try:
        lines = information.read_text().splitlines()
    except OSError:
        lines = []
    features = next((it for it in lines if it.lower().startswith(("flags", "features"))), "")
    digest = hashlib.sha256(" ".join(sorted(features.split())).encode()).hexdigest()
    return f"{platform.machine()}-{digest[:12]}"
