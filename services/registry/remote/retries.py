"""When to try again, and for how long."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from services.registry.remote.errors import Transient

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class RetryPolicy:
    """How often something is tried, with pauses that double: 1, 2, 4 ... seconds."""

    tries: int = 6
    first_pause: float = 1.0

    def pauses(self) -> Iterator[float]:
        """Give the seconds to wait after each failed try but the last."""
        return (self.first_pause * 2**n for n in range(self.tries - 1))


async def with_retries(attempt: Callable[[], Awaitable[T]], policy: RetryPolicy) -> T:
    """Call until it does not raise `Transient`, or the tries are used up.

    Raises:
        Transient: the last try failed as well; the text says that it was the last.
    """
    pauses = policy.pauses()
    while True:
        try:
            return await attempt()
        except Transient as error:
            await pause(pauses, error)


async def pause(pauses: Iterator[float], error: Transient) -> None:
    """Wait before the next try, for as long as the registry wants at least.

    Raises:
        Transient: that was the last try, or the registry wants more patience than there is.
    """
    seconds = next(pauses, None)
    wanted = error.retry_after or 0.0
    if wanted > _LONGEST_WAIT:
        raise error
    if seconds is None:
        raise Transient(f"max retries exceeded: {error.message}") from error
    wait = max(min(seconds, _LONGEST_WAIT), wanted)
    logger.info("trying again in %.1f s: %s", wait, error.message)
    await asyncio.sleep(wait)
