"""A queue in which clients take turns: each one's own requests stay in order."""

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class FairQueue(Generic[T]):
    """Items by client.

    The next one is of the client that has the fewest under way, and of several such clients of
    the one that has waited longest since its last turn. So places are shared evenly, however
    many items a client has and however long they take. Operations take the same time however
    many wait.
    """

    def __init__(self) -> None:
        self._items: dict[str, OrderedDict[T, None]] = {}
        self._under_way: Counter[str] = Counter()
        # The clients that wait, by how many of theirs are under way. Those counts that differ
        # are few: their sum is at most what is under way in all.
        self._turns: dict[int, OrderedDict[str, None]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, client: str, item: T) -> None:
        """Add an item behind the client's others."""
        if client not in self._items:
            self._items[client] = OrderedDict()
            self._line_up(client)
        self._items[client][item] = None
        self._length += 1

    def pop(self) -> tuple[str, T]:
        """Take the next client's first item, which is under way from now on.

        Raises:
            ValueError: nothing waits.
        """
        client = next(iter(self._turns[min(self._turns)]))
        item = next(iter(self._items[client]))
        self.begin(client)
        self.discard(client, item)
        return client, item

    def discard(self, client: str, item: T) -> None:
        """Take an item out, if it is still there."""
        items = self._items.get(client)
        if items is None or item not in items:
            return
        del items[item]
        self._length -= 1
        if not items:
            self._step_out(client)
            del self._items[client]

    def begin(self, client: str) -> None:
        """Count an item as under way."""
        self._count(client, 1)

    def end(self, client: str) -> None:
        """Count one less as under way."""
        self._count(client, -1)

    def _count(self, client: str, change: int) -> None:
        waits = client in self._items
        if waits:
            self._step_out(client)
        self._under_way[client] += change
        if waits:
            self._line_up(client)
        if not self._under_way[client]:
            del self._under_way[client]

    def _line_up(self, client: str) -> None:
        self._turns.setdefault(self._under_way[client], OrderedDict())[client] = None

    def _step_out(self, client: str) -> None:
        count = self._under_way[client]
        del self._turns[count][client]
        if not self._turns[count]:
            del self._turns[count]
