"""What every engine does first, done once before they are forked."""

import os

from vllm.platforms import current_platform
from vllm.plugins import load_general_plugins

import workers.engine_core  # noqa: F401  (the class that engines compute with)
from workers.compilation import prepare_compilation
from workers.vllm_environment import COMPILES_VARIABLE


def prepare_engines() -> None:
    """Do what vLLM does at the start of any engine, whatever the model is.

    An engine that is forked afterwards finds it done: that saves two of three seconds.
    """
    load_general_plugins()  # type: ignore[no-untyped-call]
    _replace_kernels()
    if COMPILES_VARIABLE in os.environ:
        prepare_compilation()


def _replace_kernels() -> None:
    """Put vLLM's own kernels for a CPU in the place of Triton's.

    It looks for these through all modules. Once is enough for the forks: what they import later
    finds the kernels replaced.
    """
    platform = type(current_platform)
    platform.register_triton_kernel_overrides()
    platform.register_triton_kernel_overrides = classmethod(lambda _: None)  # type: ignore
