"""The models of a worker: loaded on demand, shared, expired, evicted."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from common.changes import Changes
from common.errors import Interrupted
from protos.paddock.v1 import model_pb2
from workers.engine import EngineFactory
from workers.engines import Engines
from workers.files import Files
from workers.gguf.conversions import Conversions
from workers.load_watcher import LoadObserver
from workers.residents import Resident, Residents, Room
from workers.slot import UNLOADING, ReadyEngine, Slot
from workers.uses import LEAVING, Uses

# For what is interrupted to end.
_INTERRUPTION_SECONDS = 5.0
# Seconds between two looks for what has expired; by so much may one be late.
_LEAST_WAIT = 0.05


class Models:
    """Who uses which model, and for how long each stays; a worker that leaves has none left.

    Several manifests may share one engine: see `workers.lora.sharing`.
    """

    def __init__(
        self,
        factory: EngineFactory,
        files: Files,
        budget: int,
        keep_alive: int,
        clock: Callable[[], float] = time.monotonic,
        conversions: Conversions | None = None,
        max_engines: int = 0,
        observer: LoadObserver | None = None,
        sleep_memory: int = 0,
    ) -> None:
        self.budget = budget
        self.residents = Residents(keep_alive)
        self.changes = Changes()
        room = Room(budget, max_engines, sleep_memory)
        self.engines = Engines(
            factory, files, self.residents, self.changes, clock, room, conversions, observer
        )
        self._clock = clock
        self._uses = Uses()
        self.draining = False
        """Whether new work is refused."""
        self.drained = asyncio.Event()
        """Set when what was in use has ended, after that."""

    @property
    def memory(self) -> int:
        """Bytes taken from the budget."""
        asleep = self.engines.sleepers.accelerator_memory
        return sum(slot.memory for slot in self.engines) + asleep

    @asynccontextmanager
    async def use(
        self, spec: model_pb2.ModelSpec, keep_alive: int | None
    ) -> AsyncIterator[ReadyEngine]:
        """Give a model's engine, loaded first where it is not; it stays within the block.

        Raises:
            OutOfMemory: the model is too large.
            NoRoom: what is in use leaves no room.
            LoadFailed: the engine refused the model.
            Interrupted: the worker leaves.
            PaddockError: its files could not be brought here.
        """
        if self.draining:
            raise Interrupted(LEAVING)
        resident = self.residents.acquire(spec, keep_alive, self._clock())
        self.changes.announce()
        try:
            async with self._uses.begin(resident) as use:
                ready = await self.engines.ready(resident)
                use.limit = ready.engine.limits.max_sequences
                yield ready
        finally:
            self._release(resident)

    async def unload(self, digest: str) -> bool:
        """Unload a manifest's model, after what runs on it; tell whether it was loaded.

        Returns when the memory is free, or at once where the model is in use.
        """
        resident = self.residents.get(digest)
        if resident is None:
            return False
        slot = self.engines.get(resident.engine)
        self.residents.expire(digest, self._clock())
        self._expire()
        if slot and slot.state == UNLOADING:
            await slot.gone.wait()
        return True

    async def expire_for_ever(self) -> None:
        """Let residents go when their time comes; runs until it is cancelled."""
        while True:
            changed = self.changes.next()
            deadline = self.residents.next_deadline()
            delay = None if deadline is None else max(deadline - self._clock(), 0)
            try:
                await asyncio.wait_for(changed.wait(), delay)
            except TimeoutError:
                self._expire()
            else:  # every request changes something, several times
                await asyncio.sleep(_LEAST_WAIT)

    async def drain(self, patience: float | None = None) -> None:
        """Take no new work, and return when nothing is in use any more.

        Who waits is interrupted at once, and who runs after `patience` seconds (None: never).
        """
        self.draining = True
        self.changes.announce()
        self._uses.interrupt_waiting()
        try:
            await asyncio.wait_for(self._idle(), patience)
        except TimeoutError:
            self._uses.interrupt_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle(), _INTERRUPTION_SECONDS)
        self.drained.set()

    async def _idle(self) -> None:
        while any(resident.active for resident in self.residents):
            await self.changes.next().wait()

    async def aclose(self) -> None:
        """End all engines, those that are still loading as well."""
        self.draining = True
        await self.engines.aclose()

    def _release(self, resident: Resident) -> None:
        self.residents.release(resident, self._clock())
        self._expire()
        slot = self.engines.get(resident.engine)
        if slot:
            slot.used_at = resident.used_at
            self.engines.settle_load(slot)
        if not resident.active and (slot is None or not _holds(slot, resident.spec)):
            # The load failed, or the engine died under it.
            self.residents.remove(resident)
            if slot:
                self.engines.settle(slot)
            self.changes.announce()

    def _expire(self) -> None:
        for engine in self.residents.remove_expired(self._clock()):
            if slot := self.engines.get(engine):
                self.engines.settle(slot)
        self.changes.announce()


def _holds(slot: Slot, spec: model_pb2.ModelSpec) -> bool:
    """Tell whether a model is loaded, or about to be, with the adapter if it has one."""
    if slot.state == UNLOADING:
        return False
    return not (
        slot.adapters and spec.HasField("adapter") and not slot.adapters.has(spec.adapter.digest)
    )
