"""The engines of a worker: started once for all who wait, shared, evicted, ended."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator

from common.changes import Changes
from common.errors import Interrupted, NoRoom, OutOfMemory, PaddockError, WorkerLost
from protos.paddock.v1 import model_pb2
from workers.cache_entry import HeldFolder
from workers.cache_room import own_bytes
from workers.engine import Engine, EngineFactory
from workers.engine_room import EngineRoom
from workers.files import Files
from workers.gguf.conversions import Conversions
from workers.gguf.paths import is_gguf_path
from workers.load_watcher import LoadObserver, LoadWatcher
from workers.lora.applied import AppliedAdapters
from workers.lora.sharing import EngineKey, choose_engine, wanted_engine
from workers.residents import Resident, Residents, Room
from workers.sleepers import Sleeper, Sleepers
from workers.slot import LOADING, READY, UNLOADING, ReadyEngine, Slot
from workers.uses import LEAVING

logger = logging.getLogger(__name__)


class Engines:
    """Holds engines for residents, who decide how long.

    Guarantees: an engine is started once however many wait for it; nothing that is in
    use is taken away; the engines' memory together stays within the budget.
    """

    def __init__(
        self,
        factory: EngineFactory,
        files: Files,
        residents: Residents,
        changes: Changes,
        clock: Callable[[], float],
        room: Room,
        conversions: Conversions | None,
        observer: LoadObserver | None,
    ) -> None:
        self._factory = factory
        self._files = files
        self._residents = residents
        self._changes = changes
        self._clock = clock
        self._budget = room.memory
        self._conversions = conversions
        self._observer = observer
        self._slots: dict[EngineKey, Slot] = {}
        self.sleepers = Sleepers(room.asleep)
        self._room = EngineRoom(
            self._slots, residents, room, self.sleepers, self._drop, self._give_way
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Slot]:
        return iter(list(self._slots.values()))

    def get(self, engine: EngineKey) -> Slot | None:
        """Find an engine, in whatever state."""
        return self._slots.get(engine)

    async def ready(self, resident: Resident) -> ReadyEngine:
        """Give a manifest's engine, with the adapter if it has one.

        Raises:
            OutOfMemory: the model is too large.
            NoRoom: what is in use leaves no room.
            LoadFailed: the engine refused the model, or its adapter.
            Interrupted: the worker leaves.
            PaddockError: its files could not be brought here.
        """
        spec = resident.spec
        ready, slot = await self._loaded(resident)
        if not spec.HasField("adapter"):
            return ready
        assert slot.adapters is not None
        return await slot.adapters.apply(spec)

    def settle(self, slot: Slot) -> None:
        """Let an engine go that nobody holds any more, or adapters of it."""
        residents = self._residents.of(slot.key)
        if slot.state == READY and not residents:
            self._close(slot)
        elif slot.state == LOADING and not residents:
            self._end_load(slot)
        elif slot.adapters:
            slot.adapters.keep({resident.spec.adapter.digest for resident in residents})
        self._changes.announce()

    def settle_load(self, slot: Slot) -> None:
        """End a load for which nobody waits any more.

        Files may take long to come, or to be converted. An engine that is starting will be
        ready soon, for the next who asks.
        """
        used = any(resident.active for resident in self._residents.of(slot.key))
        if slot.state == LOADING and not slot.starting and not used:
            self._end_load(slot)

    async def aclose(self) -> None:
        """End all, those that are still loading as well."""
        loads = [slot.task for slot in self if slot.task and not slot.task.done()]
        for task in loads:
            task.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        for slot in self:
            self._close(slot)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sleepers.aclose()

    async def _loaded(self, resident: Resident) -> tuple[ReadyEngine, Slot]:
        spec = resident.spec
        while True:
            staying = [slot.key for slot in self if slot.state != UNLOADING]
            resident.engine = choose_engine(wanted_engine(spec), staying)
            slot = self._slots.get(resident.engine)
            if slot is None:
                slot = self._slots[resident.engine] = Slot(spec, began=self._clock())
                slot.task = asyncio.create_task(self._load(slot), name=f"load {spec.name}")
                slot.task.add_done_callback(_take_failure)
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
            self._note_failure(slot, error)
            self._forget(slot)
            raise
        slot.engine, slot.state = engine, READY
        slot.load_seconds = self._clock() - slot.began
        logger.info("loaded %s in %.1f s", slot.spec.name, slot.load_seconds)
        if self._observer:
            self._observer.loaded(slot.load_seconds)
        ready = ReadyEngine(engine)
        assert slot.folder is not None
        slot.adapters = AppliedAdapters(ready, self._files, slot.folder.path)
        self._spawn(self._watch(slot, engine))
        self.settle(slot)
        return ready

    def _note_failure(self, slot: Slot, error: BaseException) -> None:
        # Without room nothing is wrong, and whoever ends a load knows that it ends.
        expected = isinstance(error, OutOfMemory | asyncio.CancelledError)
        level = logging.INFO if expected else logging.ERROR
        logger.log(level, "cannot load %s: %s", slot.spec.name, str(error) or "it was ended")
        if self._observer:
            if isinstance(error, PaddockError):
                self._observer.not_loaded(error.reason())
            else:
                self._observer.not_loaded(type(error).__name__)

    async def _start(self, slot: Slot) -> Engine:
        if engine := await self._wake(slot):
            return engine
        slot.folder = await self._fetch(slot.spec, LoadWatcher(slot, self._changes.announce))
        folder = slot.folder.path
        slot.fetched, slot.total, slot.starting = slot.size, None, True
        plan = await asyncio.to_thread(self._factory.plan, slot.spec, folder, self._budget)
        slot.asleep = plan.asleep
        await self._room.take(slot, plan.memory)
        self._changes.announce()
        return await self._factory.start(slot.spec, folder, plan)

    async def _wake(self, slot: Slot) -> Engine | None:
        """Give an engine that slept, in its place among the others; None without one."""
        with self.sleepers.taken(slot.key) as sleeper:
            if sleeper is None:
                return None
            slot.fetched, slot.starting = slot.size, True
            await self._room.take(slot, sleeper.memory - sleeper.rest.accelerator)
            slot.folder, slot.asleep, slot.memory = sleeper.folder, sleeper.rest, sleeper.memory
        try:
            await sleeper.engine.wake()
        except WorkerLost:
            logger.warning("the engine of %s died in its sleep", slot.spec.name)
            await sleeper.engine.aclose()
            sleeper.folder.release()
            slot.folder, slot.memory, slot.admitted, slot.starting = None, 0, False, False
            return None
        except BaseException:
            await sleeper.engine.aclose()
            raise
        return sleeper.engine

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
                if await self._room.evict_one(_fills_disk) or await self.sleepers.end_one():
                    continue
                raise

    def _end_load(self, slot: Slot) -> None:
        """End a load; who wants the model from now on waits for `gone`."""
        if slot.task and not slot.task.done():
            slot.state = UNLOADING
            slot.task.cancel()

    def _drop(self, slot: Slot) -> None:
        """End an engine and forget who used it."""
        self._residents.remove_idle(slot.key)
        self._close(slot)

    def _give_way(self, slot: Slot) -> None:
        """Let an engine make room for another: it sleeps, where it can, or ends."""
        self._residents.remove_idle(slot.key)
        self._close(slot, sleeps=True)

    def _close(self, slot: Slot, *, sleeps: bool = False) -> None:
        """Begin to end an engine; `slot.gone` tells when its memory is free."""
        if slot.state == READY and slot.engine:
            slot.state = UNLOADING
            self._spawn(self._end(slot, slot.engine, sleeps=sleeps))
            self._changes.announce()

    async def _end(self, slot: Slot, engine: Engine, *, sleeps: bool) -> None:
        try:
            if sleeps and await self._sleep(slot, engine):
                return
            await engine.aclose()
            logger.info("unloaded %s", slot.spec.name)
        except Exception:
            logger.exception("the engine of %s did not end in good order", slot.spec.name)
        finally:
            self._forget(slot)

    async def _sleep(self, slot: Slot, engine: Engine) -> bool:
        assert slot.folder is not None
        sleeper = Sleeper(engine, slot.folder, slot.asleep, slot.memory)
        try:
            if not await self.sleepers.put(slot.key, sleeper):
                return False
        except WorkerLost:
            return False
        slot.folder = None  # it is the sleeper's from now on
        logger.info("%s sleeps", slot.spec.name)
        return True

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
            self._residents.remove_idle(slot.key)
        if slot.adapters:
            slot.adapters.close()
        if slot.folder:
            slot.folder.release()
        slot.memory = 0
        slot.gone.set()
        self._changes.announce()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _take_failure(load: asyncio.Task[ReadyEngine]) -> None:
    """Take note of a load's failure, which was logged: perhaps nobody waits for it any more."""
    if not load.cancelled():
        load.exception()


def _fills_disk(slot: Slot) -> bool:
    """Tell whether the disk has more room when an engine does not hold its files any more."""
    return slot.folder is not None and own_bytes(slot.folder.path) > 0
