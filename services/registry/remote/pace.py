"""How slowly bytes may come before a connection counts as stalled.

A connection that gives a byte now and then is as dead as one that gives none. It is judged by
what came in a window of time, while somebody waited for it: against a floor, and, where
another try costs nothing, against what other connections gave (as Ollama's x/transfer does).
"""

import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from statistics import median

from services.registry.remote.errors import Transient

_SHARE = 0.1
_FEWEST_SPEEDS = 5
_MOST_SPEEDS = 30


@dataclass(frozen=True)
class StallPolicy:
    """When a connection over which something comes counts as dead nevertheless."""

    window: float
    """Seconds of waiting over which the speed is measured."""

    floor: float
    """Bytes a second that must come; 0: any number will do."""


class Speeds:
    """How fast the last ranges came: what can be expected of the next one."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_MOST_SPEEDS)

    def add(self, size: int, seconds: float) -> None:
        """Note that so many bytes came in so many seconds."""
        if seconds > 0:
            self._last.append(size / seconds)

    @property
    def expected(self) -> float:
        """Bytes a second below which something is wrong with a connection; 0: unknown."""
        return median(self._last) * _SHARE if len(self._last) >= _FEWEST_SPEEDS else 0.0


class Pace:
    """Measures one connection, window by window."""

    def __init__(self, policy: StallPolicy, expected: float = 0.0) -> None:
        self._window = policy.window
        self._floor = max(policy.floor, expected)
        self._received = 0
        self._waited = 0.0

    def too_slow(self, received: int, waited: float) -> float | None:
        """Count bytes for which somebody waited so many seconds.

        Gives the bytes a second of a window that was too slow.
        """
        self._received += received
        self._waited += waited
        if self._waited < self._window:
            return None
        speed = self._received / self._waited
        self._received, self._waited = 0, 0.0
        return speed if speed < self._floor else None


async def watched(
    pieces: AsyncIterator[bytes], pace: Pace, clock: Callable[[], float] = time.monotonic
) -> AsyncGenerator[bytes, None]:
    """Give pieces as they come.

    Raises:
        Transient: they come too slowly.
    """
    asked = clock()
    async for piece in pieces:
        speed = pace.too_slow(len(piece), clock() - asked)
        yield piece
        if speed is not None:
            raise Transient(f"the connection stalled: it gives {speed:.0f} bytes a second")
        asked = clock()
