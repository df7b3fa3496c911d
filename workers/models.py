"""The models of a worker: loaded on demand, shared, expired, evicted."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress

from common.changes import Changes
from common.errors import Interrupted, NoRoom, OutOfMemory
from protos.paddock.v1 import model_pb2
from workers.cache_entry import HeldFolder
from workers.cache_room import own_bytes
from workers.engine import Engine, EngineFactory
from workers.engine_room import EngineRoom
from workers.files import Files
from workers.gguf.conversions import Conversions
from workers.gguf.paths import is_gguf_path
from workers.load_watcher import LoadWatcher
from workers.lora.applied import AppliedAdapters
from workers.lora.sharing import EngineKey, choose_engine, wanted_engine
from workers.residents import Resident, Residents, Room
from workers.slot import LOADING, READY, UNLOADING, ReadyEngine, Slot
from workers.uses import LEAVING, Uses

logger = logging.getLogger(__name__)

# For what is interrupted to end.
_INTERRUPTION_SECONDS = 5.0


class Models:
    """Holds engines, for the manifests that use them: see `workers.lora.sharing`.

    Guarantees: an engine is started once however many wait for it; nothing that is in
    use is taken away; the engines' memory together stays within the budget.
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
    ) -> None:
        self.budget = budget
        self.residents = Residents(keep_alive)
        self.changes = Changes()
        self._factory = factory
        self._files = files
        self._clock = clock
        self._conversions = conversions
        self._slots: dict[EngineKey, Slot] = {}
        self._room = EngineRoom(self._slots, self.residents, Room(budget, max_engines), self._drop)
        self._tasks: set[asyncio.Task[None]] = set()
        self._uses = Uses()
        self.draining = False
        """Whether new work is refused."""
        self.drained = asyncio.Event()
        """Set when what was in use has ended, after that."""

    @property
    def slots(self) -> Iterable[Slot]:
        """The engines, in whatever state."""
        return list(self._slots.values())

    @property
    def memory(self) -> int:
        """Bytes taken from the budget."""
        return sum(slot.memory for slot in self._slots.values())

    def slot(self, engine: EngineKey) -> Slot | None:
        """Find an engine."""
        return self._slots.get(engine)

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
                ready = await self._ready(resident)
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
        slot = self._slots.get(resident.engine)
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
        loads = [slot.task for slot in self._slots.values() if slot.task and not slot.task.done()]
        for task in loads:
            task.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        for slot in self.slots:
            self._close(slot)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ready(self, resident: Resident) -> ReadyEngine:
        """Give a manifest's engine, with the adapter if it has one."""
        spec = resident.spec
        ready, slot = await self._engine(resident)
        if not spec.HasField("adapter"):
            return ready
        assert slot.adapters is not None
        return await slot.adapters.apply(spec)

    async def _engine(self, resident: Resident) -> tuple[ReadyEngine, Slot]:
        spec = resident.spec
        while True:
            staying = [slot.key for slot in self.slots if slot.state != UNLOADING]
            resident.engine = choose_engine(wanted_engine(spec), staying)
            slot = self._slots.get(resident.engine)
            if slot is None:
                slot = self._slots[resident.engine] = Slot(spec, began=self._clock())
                slot.task = asyncio.create_task(self._load(slot), name=f"load {spec.name}")
            if slot.engine and not slot.engine.alive:
                self._drop(slot)
            if slot.state == UNLOADING:
                await slot.gone.wait()
                continue
            assert slot.task is not None
            if not slot.task.done():
                # Not awaited itself: a waiter that goes away must not end the others' load.
                await asyncio.wait({slot.task})
            if slot.task.cancelled():
                raise Interrupted(LEAVING)
            return slot.task.result(), slot

    async def _load(self, slot: Slot) -> ReadyEngine:
        try:
            engine = await self._start(slot)
        except BaseException as error:
            # Without room nothing is wrong, and whoever ends the worker knows that it ends.
            expected = isinstance(error, OutOfMemory | asyncio.CancelledError)
            level = logging.INFO if expected else logging.ERROR
            logger.log(level, "cannot load %s: %s", slot.spec.name, error)
            self._forget(slot)
            raise
        slot.engine, slot.state = engine, READY
        slot.load_seconds = self._clock() - slot.began
        logger.info("loaded %s in %.1f s", slot.spec.name, slot.load_seconds)
        ready = ReadyEngine(engine)
        assert slot.folder is not None
        slot.adapters = AppliedAdapters(ready, self._files, slot.folder.path)
        self._spawn(self._watch(slot, engine))
        self._settle(slot)
        return ready

    async def _start(self, slot: Slot) -> Engine:
        slot.folder = await self._fetch(slot.spec, LoadWatcher(slot, self.changes.announce))
        folder = slot.folder.path
        slot.fetched, slot.total, slot.starting = slot.size, None, True
        plan = await asyncio.to_thread(self._factory.plan, slot.spec, folder, self.budget)
        await self._room.take(slot, plan.memory)
        self.changes.announce()
        return await self._factory.start(slot.spec, folder, plan)

    async def _fetch(self, spec: model_pb2.ModelSpec, watcher: LoadWatcher) -> HeldFolder:
        """Bring a model's files; where the disk has no room, idle models let theirs go."""
        while True:
            try:
                if self._conversions and any(is_gguf_path(file.path) for file in spec.files):
                    return await self._conversions.fetch(spec, watcher)
                return await self._files.fetch(
                    spec.weights, spec.files, watcher.fetched, name=spec.name
                )
            except NoRoom:
                if not await self._room.evict_one(_fills_disk):
                    raise

    def _release(self, resident: Resident) -> None:
        self.residents.release(resident, self._clock())
        self._expire()
        slot = self._slots.get(resident.engine)
        if slot:
            slot.used_at = resident.used_at
        if slot and slot.state == LOADING and not slot.starting and not self._is_used(slot):
            self._end_load(slot)  # files may take long to come, or to be converted
        if not resident.active and (slot is None or not _holds(slot, resident.spec)):
            # The load failed, or the engine died under it.
            self.residents.remove(resident)
            if slot:
                self._settle(slot)
            self.changes.announce()

    def _is_used(self, slot: Slot) -> bool:
        return any(resident.active for resident in self.residents.of(slot.key))

    def _expire(self) -> None:
        for engine in self.residents.remove_expired(self._clock()):
            if slot := self._slots.get(engine):
                self._settle(slot)
        self.changes.announce()

    def _settle(self, slot: Slot) -> None:
        """Let an engine go that nobody holds any more, or adapters of it."""
        residents = self.residents.of(slot.key)
        if slot.state == READY and not residents:
            self._close(slot)
        elif slot.state == LOADING and not residents:
            self._end_load(slot)
        elif slot.adapters:
            slot.adapters.keep({resident.spec.adapter.digest for resident in residents})
        self.changes.announce()

    def _end_load(self, slot: Slot) -> None:
        """End a load that nobody waits for; who wants the model from now on waits for `gone`."""
        if slot.task and not slot.task.done():
            slot.state = UNLOADING
            slot.task.cancel()

    def _drop(self, slot: Slot) -> None:
        """End an engine and forget who used it."""
        self.residents.remove_idle(slot.key)
        self._close(slot)

    def _close(self, slot: Slot) -> None:
        """Begin to end an engine; `slot.gone` tells when its memory is free."""
        if slot.state == READY and slot.engine:
            slot.state = UNLOADING
            self._spawn(self._end(slot, slot.engine))
            self.changes.announce()

    async def _end(self, slot: Slot, engine: Engine) -> None:
        try:
            await engine.aclose()
            logger.info("unloaded %s", slot.spec.name)
        finally:
            self._forget(slot)

    async def _watch(self, slot: Slot, engine: Engine) -> None:
        """Drop a model whose engine died: the next request loads it again."""
        died = asyncio.create_task(engine.died())
        gone = asyncio.create_task(slot.gone.wait())
        await asyncio.wait({died, gone}, return_when=asyncio.FIRST_COMPLETED)
        if slot.state == READY:
            logger.error("the engine of %s died", slot.spec.name)
            self._drop(slot)
        for task in (died, gone):
            task.cancel()

    def _forget(self, slot: Slot) -> None:
        if self._slots.get(slot.key) is slot:
            del self._slots[slot.key]
            self.residents.remove_idle(slot.key)
        if slot.adapters:
            slot.adapters.close()
        if slot.folder:
            slot.folder.release()
        slot.memory = 0
        slot.gone.set()
        self.changes.announce()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _fills_disk(slot: Slot) -> bool:
    """Tell whether the disk has more room when an engine does not hold its files any more."""
    return slot.folder is not None and own_bytes(slot.folder.path) > 0


def _holds(slot: Slot, spec: model_pb2.ModelSpec) -> bool:
    """Tell whether a model is loaded, or about to be, with the adapter if it has one."""
    if slot.state == UNLOADING:
        return False
    return not (
        slot.adapters and spec.HasField("adapter") and not slot.adapters.has(spec.adapter.digest)
    )
