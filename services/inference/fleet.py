"""The workers that a router knows, and waiting for one that can serve a model."""

import asyncio
from collections.abc import Collection, Iterable

from common.changes import Changes
from services.inference.placement import Candidate, Wanted, choose
from services.inference.worker_client import WorkerClient


class Fleet:
    """Holds a client for each worker and wakes whoever waits for a change among them."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._changes = Changes()
        self._clients = {
            address: WorkerClient(address, self._changes.announce)
            for address in dict.fromkeys(addresses)
        }

    async def follow(self) -> None:
        """Watch the workers until cancelled; every sequence ends then."""
        try:
            async with asyncio.TaskGroup() as group:
                for client in self._clients.values():
                    group.create_task(client.follow(), name=f"follow {client.address}")
        finally:
            await asyncio.gather(*(client.aclose() for client in self._clients.values()))

    def candidates(self) -> list[Candidate]:
        """Give the workers that can be reached."""
        return [
            Candidate(client.address, client.status, dict(client.in_flight))
            for client in self._clients.values()
            if client.status is not None
        ]

    def reachable(self) -> list[WorkerClient]:
        """Give the clients of the workers that can be reached."""
        return [client for client in self._clients.values() if client.status is not None]

    async def place(self, wanted: Wanted, excluded: Collection[str]) -> WorkerClient | None:
        """Choose a worker, waiting until one that takes work can be reached.

        None when every such worker is excluded.
        """
        while True:
            candidates = self.candidates()
            address = choose(candidates, wanted, excluded)
            if address:
                return self._clients[address]
            if any(not candidate.status.draining for candidate in candidates):
                return None
            await self.change()

    async def change(self) -> None:
        """Wait until a worker comes, goes, or reports something new."""
        await self._changes.next().wait()
