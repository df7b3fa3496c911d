"""One engine and its life: loading, ready, unloading."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TypeVar

from protos.paddock.v1 import model_pb2, worker_pb2
from workers.cache_entry import HeldFolder
from workers.engine import Engine, Tokenizer

T = TypeVar("T")

LOADING = worker_pb2.WorkerModel.STATE_LOADING
READY = worker_pb2.WorkerModel.STATE_READY
UNLOADING = worker_pb2.WorkerModel.STATE_UNLOADING


class ReadyEngine:
    """An engine, and the threads on which its prompts are made.

    There is one for what takes no time, and one for what may take long. Each has a tokenizer
    of its own, which no two threads may use at once. They end with this object.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="render")
        self._costly = ThreadPoolExecutor(max_workers=1, thread_name_prefix="render-costly")
        self._copied: asyncio.Task[Tokenizer] | None = None

    async def render(self, make: Callable[[Tokenizer], T], *, costly: bool = False) -> T:
        """Make something with the tokenizer, after all of its kind who asked before."""
        loop = asyncio.get_running_loop()
        if not costly:
            return await loop.run_in_executor(self._thread, make, self.engine.tokenizer)
        if self._copied is None:
            self._copied = asyncio.create_task(self.render(deepcopy))
        tokenizer = await asyncio.shield(self._copied)
        return await loop.run_in_executor(self._costly, make, tokenizer)


@dataclass(eq=False)
class Slot:
    """What holds, or is about to hold, the engine of one set of weights."""

    spec: model_pb2.ModelSpec
    state: "worker_pb2.WorkerModel.State.ValueType" = LOADING
    memory: int = 0
    """Bytes taken from the budget; 0 before the plan is made."""
    engine: Engine | None = None
    folder: HeldFolder | None = None
    """The model's files, held until the engine is gone."""
    fetched: int = 0
    """Bytes of the model's files that are here."""
    starting: bool = False
    """The files are here, the engine is being started."""
    task: asyncio.Task[ReadyEngine] | None = None
    """Loads; everybody who needs the engine waits for it."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the engine's memory is free again."""

    @property
    def size(self) -> int:
        """Bytes of the model's files."""
        return sum(file.size for file in self.spec.files)

    def progress(self) -> worker_pb2.LoadProgress:
        """Tell how far the load is."""
        if self.state != LOADING:
            return worker_pb2.LoadProgress(phase="ready", completed=self.size, total=self.size)
        phase = "starting" if self.starting else "fetching"
        return worker_pb2.LoadProgress(phase=phase, completed=self.fetched, total=self.size)
