"""A queue in which clients take turns: each one's own requests stay in order."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class FairQueue(Generic[T]):
    """Items by client; every operation takes the same time however many wait."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, client: str, item: T) -> None:
        """Add an item behind the client's others."""
        self._clients.setdefault(client, OrderedDict())[item] = None
        self._length += 1

    def pop(self) -> T:
        """Take the next client's first item; the client's others come after everybody else's.

        Raises:
            KeyError: nothing waits.
        """
        client, items = self._clients.popitem(last=False)
        item, _ = items.popitem(last=False)
        if items:
            self._clients[client] = items
        self._length -= 1
        return item

    def discard(self, client: str, item: T) -> None:
        """Take an item out, if it is still there."""
        items = self._clients.get(client)
        if items is None or item not in items:
            return
        del items[item]
        if not items:
            del self._clients[client]
        self._length -= 1
