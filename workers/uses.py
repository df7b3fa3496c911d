"""Who uses a worker's models, and how a worker that leaves makes them go elsewhere."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.errors import Interrupted
from workers.lora.sharing import EngineKey
from workers.residents import Resident

LEAVING = "the worker is shutting down"


class Use:
    """One request's use of a model."""

    def __init__(self, resident: Resident) -> None:
        self.limit: int | None = None
        """Uses of its engine that run at once; None while it is not loaded."""
        self._resident = resident
        self._scope = asyncio.timeout(None)
        self._interrupted = False

    @property
    def engine(self) -> EngineKey:
        """The engine that it uses, or waits for."""
        return self._resident.engine

    def interrupt(self) -> None:
        """Make it end with `Interrupted`; it may take its time."""
        if not self._interrupted:
            self._interrupted = True
            self._scope.reschedule(0)

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """Run the block's body so that it can be interrupted.

        Raises:
            Interrupted: it was.
        """
        try:
            async with self._scope:
                yield
        except TimeoutError:
            if not self._scope.expired():
                raise
            raise Interrupted(LEAVING) from None


class Uses:
    """All uses of a worker's models, in the order in which they began."""

    def __init__(self) -> None:
        self._uses: dict[Use, None] = {}

    @asynccontextmanager
    async def begin(self, resident: Resident) -> AsyncIterator[Use]:
        """Use a model within the block.

        Raises:
            Interrupted: the worker leaves.
        """
        use = Use(resident)
        self._uses[use] = None
        try:
            async with use.interruptible():
                yield use
        finally:
            del self._uses[use]

    def interrupt_waiting(self) -> None:
        """Interrupt those that wait for a load, or for a place among those that run."""
        begun: Counter[EngineKey] = Counter()
        for use in list(self._uses):
            if use.limit is not None:
                begun[use.engine] += 1
            if use.limit is None or begun[use.engine] > use.limit:
                use.interrupt()

    def interrupt_all(self) -> None:
        """Interrupt whatever has not ended."""
        for use in list(self._uses):
            use.interrupt()
