"""Engines that sleep: their weights lie in the machine's memory, to be back in a moment.

An engine on an accelerator that has to make room for another need not be ended: it may give
the accelerator's memory back but for a rest, and is woken when its model is asked for again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workers.cache_entry import HeldFolder
from workers.engine import Engine, Rest
from workers.lora.sharing import EngineKey


@dataclass(frozen=True)
class Sleeper:
    """One engine that sleeps."""

    engine: Engine
    folder: HeldFolder
    """Its files, held until it has ended."""
    rest: Rest
    memory: int
    """Bytes that it takes of the budget while it is awake."""


class Sleepers:
    """Holds engines that sleep, within a bound; those that fell asleep first go first.

    Args:
        bound: bytes of the machine's memory that they may take together.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._sleepers: dict[EngineKey, Sleeper] = {}
        self._falling_asleep: list[Sleeper] = []
        self._waking: list[Sleeper] = []

    def __len__(self) -> int:
        return len(self._sleepers)

    @property
    def host_memory(self) -> int:
        """Bytes that they take of the machine's memory."""
        sleepers = (*self._sleepers.values(), *self._falling_asleep, *self._waking)
        return sum(it.rest.host for it in sleepers)

    @property
    def accelerator_memory(self) -> int:
        """Bytes that they still take of the budget."""
        return sum(it.rest.accelerator for it in (*self._sleepers.values(), *self._waking))

    async def put(self, key: EngineKey, sleeper: Sleeper) -> bool:
        """Let an engine on which nothing runs fall asleep; False where it cannot.

        Others are ended to make room for it.

        Raises:
            WorkerLost: it died of that.
        """
        if not sleeper.rest.host or sleeper.rest.host > self._bound or not sleeper.engine.alive:
            return False
        while self.host_memory + sleeper.rest.host > self._bound:
            if not await self.end_one():
                return False
        self._falling_asleep.append(sleeper)
        try:
            await sleeper.engine.sleep()
        finally:
            self._falling_asleep.remove(sleeper)
        self._sleepers[key] = sleeper
        return True

    @contextmanager
    def taken(self, key: EngineKey) -> Iterator[Sleeper | None]:
        """Give an engine to who will wake it; None where it does not sleep.

        Until the end of the block it is not ended, and what it keeps of the budget is counted
        here. If the block fails, it sleeps on.
        """
        sleeper = self._sleepers.pop(key, None)
        if sleeper is None:
            yield None
            return
        self._waking.append(sleeper)
        try:
            yield sleeper
        except BaseException:
            self._sleepers[key] = sleeper
            raise
        finally:
            self._waking.remove(sleeper)

    async def end_one(self) -> bool:
        """End the engine that fell asleep first; False without one."""
        if not self._sleepers:
            return False
        sleeper = self._sleepers.pop(next(iter(self._sleepers)))
        try:
            await sleeper.engine.aclose()
        finally:
            sleeper.folder.release()
        return True

    async def aclose(self) -> None:
        """End all."""
        while await self.end_one():
            pass
