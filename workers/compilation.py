"""Models that are compiled for a CPU: what vLLM and torch lack for it.

(vLLM 0.32: `vllm.compilation.decorators`; torch 2.13: `torch._inductor`.)
"""

import logging
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workers.vllm_environment import NO_COMPILATION

logger = logging.getLogger(__name__)

Run = Callable[[str, str], None]

_HEADERS = "precompiled_headers"


def prepare_compilation() -> None:
    """Do what is the same for every model, once before engines are forked.

    It saves each of them three seconds.
    """
    from torch._dynamo.aot_compile_types import BundledAOTAutogradSerializableCallable
    from torch._inductor import codecache, cpp_builder, cpu_vec_isa
    from torch._inductor.runtime.cache_dir_utils import cache_dir
    from vllm.compilation.compiler_interface import get_inductor_factors

    headers = Path(cache_dir()) / _HEADERS
    codecache._HEADER_DIR = str(headers)
    codecache._HEADER_LOCK_DIR = str(headers / "locks")
    setattr(cpp_builder, "_run_compile_cmd", whole(cpp_builder._run_compile_cmd))  # noqa: B010
    # vLLM calls this of whatever it finds compiled, and what torch alone has compiled lacks it:
    # so each start would compile again.
    BundledAOTAutogradSerializableCallable.finalize_loading = lambda *_: None  # type: ignore[attr-defined]
    with suppress(Exception):  # an engine comes upon it again, and computes without compiling
        # These are remembered.
        cpu_vec_isa.valid_vec_isa_list()
        get_inductor_factors()


def whole(run: Run) -> Run:
    """Let a compiler's output have its name when it is whole, however this process ends.

    Args:
        run: runs a command, which names its output after `-o`, in a folder.
    """

    def run_whole(command: str, directory: str) -> None:
        words = shlex.split(command)
        place = words.index("-o") + 1
        target = words[place]
        words[place] = f"{target}.{os.getpid()}"
        run(shlex.join(words), directory)
        Path(words[place]).replace(target)

    return run_whole


@contextmanager
def compiling() -> Iterator[None]:
    """Let what is made meanwhile compile itself; nothing else does in this process."""
    before = os.environ.pop(NO_COMPILATION, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[NO_COMPILATION] = before


def compile_or_compute(runner: Any) -> None:
    """Let a model runner compute as without compiling where its model cannot be compiled.

    Args:
        runner: vLLM's, with the model loaded. It compiles when it warms up.
    """
    warm_up = runner.warming_up_model

    def warm_up_or_not() -> None:
        try:
            warm_up()
        except Exception as error:
            logger.warning("%s is not compiled: %s", runner.model_config.served_model_name, error)
            _compile_nothing(runner.get_model())
            warm_up()

    runner.warming_up_model = warm_up_or_not


def _compile_nothing(model: nn.Module) -> None:
    torch._dynamo.config.disable = True
    for module in model.modules():
        if hasattr(module, "do_not_compile"):
            setattr(module, "do_not_compile", True)  # noqa: B010
