"""One engine and its life: loading, ready, unloading."""

import asyncio
from dataclasses import dataclass, field

from protos.paddock.v1 import model_pb2, worker_pb2
from workers.engine import Engine

LOADING = worker_pb2.WorkerModel.STATE_LOADING
READY = worker_pb2.WorkerModel.STATE_READY
UNLOADING = worker_pb2.WorkerModel.STATE_UNLOADING


@dataclass(eq=False)
class Slot:
    """What holds, or is about to hold, the engine of one set of weights."""

    spec: model_pb2.ModelSpec
    state: "worker_pb2.WorkerModel.State.ValueType" = LOADING
    memory: int = 0
    """Bytes taken from the budget; 0 before the plan is made."""
    engine: Engine | None = None
    fetched: int = 0
    """Bytes of the model's files that are here."""
    starting: bool = False
    """The files are here, the engine is being started."""
    task: asyncio.Task[Engine] | None = None
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
