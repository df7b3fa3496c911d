"""How many requests may be in flight for one model."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import Busy


class Admission:
    """Counts a model's requests, and refuses those beyond what may run and wait."""

    def __init__(self, max_queue: int) -> None:
        self._max_queue = max_queue
        self._in_flight: Counter[str] = Counter()

    @contextmanager
    def admit(self, weights: str, slots: int) -> Iterator[None]:
        """Hold a place for a request of a model whose engines run `slots` sequences at once.

        Raises:
            Busy: the queue is full.
        """
        # At least one may run, so that a queue of 0 does not refuse a cold model.
        if self._in_flight[weights] >= max(slots, 1) + self._max_queue:
            raise Busy("server busy, please try again.  maximum pending requests exceeded")
        self._in_flight[weights] += 1
        try:
            yield
        finally:
            self._in_flight[weights] -= 1
            if not self._in_flight[weights]:
                del self._in_flight[weights]
