"""Room for engines, within the worker's limits: whoever is idle gives way."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from common.errors import NoRoom
from workers.lora.sharing import EngineKey
from workers.residents import Holding, Residents, Room, choose_victims
from workers.sleepers import Sleepers
from workers.slot import READY, UNLOADING, Slot


class EngineRoom:
    """Gives out the memory of a worker, to one engine after another.

    Args:
        slots: all engines, in whatever state.
        residents: who uses them.
        room: what they may take together.
        sleepers: engines that keep a part of their memory until they end.
        drop: begins to end an idle engine; its slot's `gone` tells when the memory is free.
        give_way: the same, but that the engine may sleep.
    """

    def __init__(
        self,
        slots: Mapping[EngineKey, Slot],
        residents: Residents,
        room: Room,
        sleepers: Sleepers,
        drop: Callable[[Slot], None],
        give_way: Callable[[Slot], None],
    ) -> None:
        self._slots = slots
        self._residents = residents
        self._room = room
        self._sleepers = sleepers
        self._drop = drop
        self._give_way = give_way
        self._admission = asyncio.Lock()

    async def take(self, slot: Slot, memory: int) -> None:
        """Take memory and a place for an engine; evict what must go, and wait until it is free.

        Raises:
            NoRoom: what is in use leaves no room.
        """
        async with self._admission:
            await self._make_room(memory)
            slot.memory, slot.admitted = memory, True

    async def evict_one(self, worth: Callable[[Slot], bool]) -> bool:
        """End the idle engine that is missed least, of those worth it; False without one.

        `worth` may block; it is called on a thread.
        """
        async with self._admission:
            slots = list(self._slots.values())
            found = await asyncio.to_thread(lambda: [slot for slot in slots if worth(slot)])
            idle = [it for it in map(self._holding, found) if it.evictable]
            if not idle:
                return False
            victim = self._slots[min(idle, key=lambda it: (it.pinned, it.used_at)).engine]
            self._drop(victim)
            await victim.gone.wait()
        return True

    async def _make_room(self, need: int) -> None:
        while True:
            leaving = [slot for slot in self._slots.values() if slot.state == UNLOADING]
            if not leaving:
                admitted = [slot for slot in self._slots.values() if slot.admitted]
                holdings = [self._holding(slot) for slot in admitted]
                try:
                    leaving = [self._slots[it] for it in choose_victims(holdings, need, self._left)]
                except NoRoom:
                    choose_victims(holdings, need, self._room)  # or nothing would be enough
                    if not await self._sleepers.end_one():
                        raise
                    continue
            if not leaving:
                return
            for slot in leaving:
                self._give_way(slot)
            await asyncio.gather(*(slot.gone.wait() for slot in leaving))

    @property
    def _left(self) -> Room:
        """What those that are awake may take."""
        memory = self._room.memory - self._sleepers.accelerator_memory
        return replace(self._room, memory=memory)

    def _holding(self, slot: Slot) -> Holding:
        residents = self._residents.of(slot.key)
        busy = any(resident.active for resident in residents)
        return Holding(
            slot.key,
            slot.memory,
            evictable=slot.state == READY and not busy,
            used_at=max((resident.used_at for resident in residents), default=0.0),
            pinned=any(resident.pinned for resident in residents),
        )
