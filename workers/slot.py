"""One engine and its life: loading, ready, unloading."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from common.durations import SECOND
from protos.paddock.v1 import model_pb2, worker_pb2
from workers.cache_entry import HeldFolder
from workers.engine import Engine, Rest, Tokenizer
from workers.lora.sharing import EngineKey, wanted_engine

if TYPE_CHECKING:
    from workers.lora.applied import AppliedAdapters

T = TypeVar("T")

LOADING = worker_pb2.WorkerModel.STATE_LOADING
READY = worker_pb2.WorkerModel.STATE_READY
UNLOADING = worker_pb2.WorkerModel.STATE_UNLOADING

# What the event loop does itself; the way to a thread and back takes a third of that.
_QUICK_SECONDS = 0.001


class RenderThreads:
    """The threads on which an engine's prompts are made.

    There is one for what takes no time, and one for what may take long. Each has a tokenizer
    of its own, which no two threads may use at once. They end with this object.

    A `small` prompt is made by the event loop itself, without the way to a thread and back, as
    long as the last of its kind took less than a millisecond of a core: what else the machine
    does is no reason to make it do more.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="render")
        self._costly = ThreadPoolExecutor(max_workers=1, thread_name_prefix="render-costly")
        self._copied: asyncio.Task[Tokenizer] | None = None
        self._in_use = Lock()
        self._quick = False

    async def render(
        self, make: Callable[[Tokenizer], T], *, small: bool = False, costly: bool = False
    ) -> T:
        """Make something with the tokenizer, after all of its kind who asked before."""
        loop = asyncio.get_running_loop()
        if small and self._quick and self._in_use.acquire(blocking=False):
            try:
                return self._timed(make)
            finally:
                self._in_use.release()
        if not costly:
            return await loop.run_in_executor(self._thread, self._make, make, small)
        if self._copied is None:
            self._copied = asyncio.create_task(self.render(deepcopy))
        tokenizer = await asyncio.shield(self._copied)
        return await loop.run_in_executor(self._costly, make, tokenizer)

    def _make(self, make: Callable[[Tokenizer], T], small: bool) -> T:
        with self._in_use:
            return self._timed(make) if small else make(self._engine.tokenizer)

    def _timed(self, make: Callable[[Tokenizer], T]) -> T:
        began = time.thread_time()
        try:
            return make(self._engine.tokenizer)
        finally:
            self._quick = time.thread_time() - began < _QUICK_SECONDS


class ReadyEngine:
    """An engine, and what makes its prompts."""

    def __init__(self, engine: Engine, threads: RenderThreads | None = None) -> None:
        self.engine = engine
        self._threads = threads or RenderThreads(engine)
        self.render = self._threads.render

    def with_engine(self, engine: Engine) -> "ReadyEngine":
        """Give the same engine in another shape, whose prompts are made by the same threads."""
        return ReadyEngine(engine, self._threads)


@dataclass(eq=False)
class Slot:
    """What holds, or is about to hold, one engine."""

    spec: model_pb2.ModelSpec
    """The model that it was started for."""
    state: "worker_pb2.WorkerModel.State.ValueType" = LOADING
    memory: int = 0
    """Bytes taken from the budget; 0 before the plan is made."""
    admitted: bool = False
    """It has its place among the engines, and its memory."""
    engine: Engine | None = None
    asleep: Rest = field(default_factory=Rest)
    """What the engine would take if it slept."""
    folder: HeldFolder | None = None
    """The model's files, held until the engine is gone."""
    adapters: "AppliedAdapters | None" = None
    """What was added to the engine; None before it is ready."""
    total: int | None = None
    """Bytes that the present step is about, where it is not the model's own files."""
    fetched: int = 0
    """Bytes of them that are here."""
    converting: bool = False
    """The files are here, and are made into what the engine loads."""
    began: float = 0.0
    """When the load began, in seconds on the models' clock."""
    load_seconds: float | None = None
    """What the load took; None until it has ended."""
    used_at: float = 0.0
    """When a request last ended to use it, on the same clock."""
    starting: bool = False
    """The files are here, the engine is being started."""
    task: asyncio.Task[ReadyEngine] | None = None
    """Loads; everybody who needs the engine waits for it."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the engine's memory is free again."""

    @property
    def key(self) -> EngineKey:
        """What the engine is started for."""
        return wanted_engine(self.spec)

    @property
    def size(self) -> int:
        """Bytes of the model's files."""
        return sum(file.size for file in self.spec.files)

    def load_duration(self, now: float) -> int:
        """Tell how many nanoseconds the load took, or has taken so far."""
        seconds = now - self.began if self.load_seconds is None else self.load_seconds
        return int(seconds * SECOND)

    def progress(self) -> worker_pb2.LoadProgress:
        """Tell how far the load is."""
        if self.state != LOADING:
            return worker_pb2.LoadProgress(phase="ready", completed=self.size, total=self.size)
        phase = "converting" if self.converting else "fetching"
        if self.starting:
            phase = "starting"
        total = self.size if self.total is None else self.total
        return worker_pb2.LoadProgress(phase=phase, completed=self.fetched, total=total)
