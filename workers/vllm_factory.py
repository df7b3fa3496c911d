"""Starts vLLM engines: the fork server, the imports off the event loop, the plans."""

import asyncio
import atexit
import contextlib
import gc
import importlib
import logging
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from protos.paddock.v1 import model_pb2
from workers.engine import Engine, Plan
from workers.gguf.paths import is_gguf_path
from workers.images import ImageLimits
from workers.lora.sharing import engine_rank
from workers.model_config import read_config
from workers.parallelism import Parallelism
from workers.plan import plan_engine
from workers.vllm_environment import prepare_environment

logger = logging.getLogger(__name__)

_WEIGHT_FILES = (".safetensors", ".bin", ".pt", ".gguf")
_IMPORT_THREAD = "import-vllm"

T = TypeVar("T")


class VllmFactory:
    """Starts an engine in seconds, because nothing is imported by then.

    Engines are forked from a server that has vLLM imported. vLLM's front half is imported in
    this process, on a thread: the event loop answers meanwhile, and the first load waits.
    Use it on the main thread. The cores are divided among `sharers` workers. Engines that do not
    start leave the reason in the folder `failures`, and what is compiled for them is kept in
    `compiled`; several workers may share both.
    With `sleeps`, engines on an accelerator are started so that they can; with `compiles`, they
    compile their models.
    """

    def __init__(
        self,
        failures: Path,
        *,
        max_sequences: int,
        context_length: int | None,
        accelerator: bool,
        sharers: int = 1,
        images: ImageLimits = ImageLimits(),  # noqa: B008
        max_adapters: int = 4,
        parallelism: Parallelism = Parallelism(),  # noqa: B008
        compiled: Path | None = None,
        sleeps: bool = False,
        compiles: bool = False,
    ) -> None:
        self._compiles = compiles and (accelerator or _finds_compiler())
        self._sleeps = sleeps and accelerator
        self._compiled = compiled
        self._parallelism = parallelism
        self._images = images
        self._max_adapters = max_adapters
        self._max_sequences = max_sequences
        self._context_length = context_length
        self._accelerator = accelerator
        self._cores = max(len(os.sched_getaffinity(0)) // sharers, 1)
        self._failures = failures
        self._module: asyncio.Future[ModuleType] | None = None

    def prepare(self) -> asyncio.Future[ModuleType]:
        """Begin to import what engines need, unless that was begun before."""
        if self._module is None:
            self._failures.mkdir(parents=True, exist_ok=True)
            prepare_environment(
                str(self._failures),
                accelerator=self._accelerator,
                compiles=self._compiles,
                compiled=self._compiled,
            )
            multiprocessing.set_forkserver_preload(["workers.fork_server"])
            forkserver.ensure_running()
            self._module = _import_on_a_thread("workers.vllm_engine")
        return self._module

    def plan(self, spec: model_pb2.ModelSpec, folder: Path, budget: int) -> Plan:
        """Plan from the model's `config.json` and the sizes of its weight files.

        Not for the event loop's thread: it may wait for vLLM to be imported.
        """
        for thread in _import_threads():
            thread.join()  # two threads that import the same modules get in each other's way
        sizes = {file.path: file.size for file in spec.files}
        if any(is_gguf_path(path) for path in sizes):
            sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
        weights = sum(size for path, size in sizes.items() if path.endswith(_WEIGHT_FILES))
        return plan_engine(
            read_config(folder),
            weights,
            budget,
            cores=self._cores,
            accelerator=self._accelerator,
            pooling=is_pooling(spec),
            vision="vision" in spec.capabilities,
            longest=self._context_length,
            lora_rank=engine_rank(spec),
            max_adapters=self._max_adapters,
            parallelism=self._parallelism,
            sleeps=self._sleeps,
            compiles=self._compiles,
        )

    async def start(self, spec: model_pb2.ModelSpec, folder: Path, plan: Plan) -> Engine:
        """Start an engine, once vLLM is imported."""
        module = await asyncio.shield(self.prepare())
        # A fork server that was killed is started again here, on the main thread: its life is
        # tied to the thread that starts it.
        forkserver.ensure_running()
        engine: Engine = await module.VllmEngine.start(
            spec.name,
            folder,
            plan,
            pooling=is_pooling(spec),
            max_sequences=self._max_sequences,
            accelerator=self._accelerator,
            images=self._images,
            parallelism=self._parallelism,
        )
        return engine


def end_process() -> None:
    """End this process at once if vLLM is still being imported, which nothing can interrupt."""
    if _import_threads():
        os._exit(0)


def _finds_compiler() -> bool:
    compiler = os.environ.get("CXX", "g++")  # as torch looks for it
    found = shutil.which(compiler) is not None
    if not found:
        logger.warning("models are not compiled, for there is no %s", compiler)
    return found


def _import_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == _IMPORT_THREAD]


def _import_on_a_thread(name: str) -> asyncio.Future[ModuleType]:
    loop = asyncio.get_running_loop()
    imported: asyncio.Future[ModuleType] = loop.create_future()

    def import_module() -> None:
        try:
            with _without_garbage_collection():
                module = importlib.import_module(name)
        except BaseException as error:
            _tell(loop, imported.set_exception, error)
        else:
            _tell(loop, imported.set_result, module)

    threading.Thread(target=import_module, name=_IMPORT_THREAD, daemon=True).start()
    return imported


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Look for no garbage while modules are imported, nor ever in what is here then.

    That takes a third of the time of the imports, and half a second for each time later in
    which nothing else runs.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # or libraries take what is left at the end for a leak


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[T], None], value: T) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
        loop.call_soon_threadsafe(callback, value)


def is_pooling(spec: model_pb2.ModelSpec) -> bool:
    """Tell whether a model embeds and does not generate."""
    return "embedding" in spec.capabilities and "completion" not in spec.capabilities
