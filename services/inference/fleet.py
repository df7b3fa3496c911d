"""The workers that a router knows, and waiting for one that can serve a model."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from functools import partial

from common.changes import Changes
from services.inference.affinity import Prefix
from services.inference.discovery import Discovery, Lookup, resolve
from services.inference.placement import Candidate, Wanted, choose, replicas_of
from services.inference.routing import AffinityRouting, Routing
from services.inference.scaling import in_order
from services.inference.worker_client import WorkerClient


class Fleet:
    """Holds a client for each worker and wakes whoever waits for a change among them.

    Args:
        addresses: of workers, or names of several: see `services.inference.discovery`.
        routing: chooses between replicas of a model.
        lookup: finds the addresses behind a name.
        interval: seconds between two lookups.
    """

    def __init__(
        self,
        addresses: Iterable[str],
        routing: Routing | None = None,
        lookup: Lookup = resolve,
        interval: float = 2.0,
    ) -> None:
        self._changes = Changes()
        self._routing = routing or AffinityRouting()
        self._discovery = Discovery(addresses, lookup, interval)
        self._clients: dict[str, WorkerClient] = {}
        self._known: dict[str, Candidate] = {}
        self._candidates: list[Candidate] | None = None  # made of them when asked for
        self._following: dict[str, asyncio.Task[None]] = {}

    async def follow(self) -> None:
        """Find the workers and watch them until cancelled; every sequence ends then."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._discovery.follow(partial(self._renew, group))
        finally:
            self._clients.clear()

    def candidates(self) -> list[Candidate]:
        """Give the workers that can be reached, each once however many addresses it has."""
        if self._candidates is None:
            first: dict[str, Candidate] = {}
            for known in self._known.values():
                first.setdefault(known.worker, known)
            self._candidates = list(first.values())
        return self._candidates

    def reachable(self) -> list[WorkerClient]:
        """Give the clients of the workers that can be reached."""
        return [self._clients[candidate.address] for candidate in self.candidates()]

    def worker(self, address: str) -> WorkerClient | None:
        """Find the client of a worker, if it can be reached."""
        return self._clients.get(address) if address in self._known else None

    async def place(
        self, wanted: Wanted, excluded: Collection[str], prefix: Prefix | None = None
    ) -> WorkerClient | None:
        """Choose a worker, waiting until one that takes work can be reached.

        `prefix` tells what the request's prompt has in common with others. None when every
        worker that takes work is excluded.
        """
        while True:
            candidates = self.candidates()
            ready = [
                replica
                for replica in replicas_of(candidates, wanted)
                if replica.candidate.address not in excluded
            ]
            if ready:
                return self._clients[self._routing.choose(ready, wanted, prefix).address]
            if address := choose(candidates, wanted, excluded):
                return self._clients[address]
            if any(not candidate.draining for candidate in candidates):
                return None
            await self.change()

    def served(
        self, prefix: Prefix, address: str, seconds: float, context: Sequence[int] = ()
    ) -> None:
        """Take note that a worker served a request to its end, and how long that took.

        `context` are the tokens of prompt and answer, where the answer told them: the next
        turn may begin with them.
        """
        if known := self._known.get(address):
            self._routing.served(prefix, known.worker, seconds, prefix.followed_by(context))

    def keep_alive(self, wanted: Wanted, address: str, asked: int | None) -> int | None:
        """Tell how long a worker is to keep a model, in nanoseconds; None: its default.

        That is what was asked, but for ever only on the first of several replicas, so that
        the others can go when the model cools.
        """
        if asked is None or asked >= 0:
            return asked
        replicas = in_order(replicas_of(self.candidates(), wanted), wanted.weights)
        return asked if not replicas or replicas[0].candidate.address == address else None

    async def change(self) -> None:
        """Wait until a worker comes, goes, or reports something new."""
        await self._changes.next().wait()

    def _renew(self, group: asyncio.TaskGroup) -> None:
        """Watch the workers that are named now, and drop those that are gone."""
        for address in self._discovery.named:
            if address not in self._clients:
                client = WorkerClient(address, partial(self._report, address))
                self._clients[address] = client
                self._following[address] = group.create_task(
                    _follow(client), name=f"follow {address}"
                )
        for address in list(self._clients):
            self._drop_if_gone(address)

    def _report(self, address: str) -> None:
        """Take over what a worker's client has to tell."""
        client = self._clients.get(address)
        if client is None:
            return
        if client.status is None:
            self._known.pop(address, None)
            self._drop_if_gone(address)
        else:
            self._known[address] = Candidate(
                address, client.status, client.in_flight, dict(client.in_flight)
            )
        self._candidates = None
        self._changes.announce()

    def _drop_if_gone(self, address: str) -> None:
        """Drop a worker that no name leads to any more, unless it is still there."""
        if address not in self._known and address not in self._discovery.named:
            del self._clients[address]
            self._following.pop(address).cancel()


async def _follow(client: WorkerClient) -> None:
    try:
        await client.follow()
    finally:
        await client.aclose()
