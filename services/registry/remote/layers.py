"""The blobs of a model on their way in or out, several at a time, with progress."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from protos.paddock.v1 import registry_pb2
from services.registry.blob_client import BlobClient
from services.registry.manifest import Descriptor
from services.registry.remote.progress import Progress
from services.registry.remote.session import RemoteSession
from services.registry.remote.shared_transfers import BlobKey, SharedTransfers
from services.registry.retention import RETAIN_INTERVAL, retaining

_CONCURRENT_BLOBS = 8
_TICK_SECONDS = 0.1
_LINES_PER_TICK = 2


@dataclass
class _Layer:
    """A blob that is missing, and what was last told of it."""

    blob: Descriptor
    progress: Progress = field(default_factory=Progress)
    started: bool = False
    finished: bool = False
    told: int = -1
    told_at: float = 0.0

    @property
    def has_news(self) -> bool:
        return self.started and self.told != self.progress.completed

    def line(self, verb: str) -> registry_pb2.Progress:
        self.told, self.told_at = self.progress.completed, time.monotonic()
        return layer_line(verb, self.blob, self.told)


class Transfer(Protocol):
    """Brings or takes one blob."""

    async def run(self, digest: str, size: int, progress: Progress) -> None:
        """Do so, however much of it is done already."""


def layer_line(verb: str, blob: Descriptor, completed: int) -> registry_pb2.Progress:
    """Say how far a blob is; the verb is `pulling` or `pushing`."""
    return registry_pb2.Progress(
        status=f"{verb} {blob.digest.removeprefix('sha256:')[:12]}",
        digest=blob.digest,
        total=blob.size,
        completed=completed,
    )


class LayerTransfers:
    """Transfers blobs of one model.

    About twenty lines a second are given, besides the first and the last of each blob.
    """

    def __init__(
        self,
        verb: str,
        blobs: BlobClient,
        transfer: Transfer,
        shared: SharedTransfers,
        session: RemoteSession,
        wanted: Collection[Descriptor],
    ) -> None:
        self._verb = verb
        self._blobs = blobs
        self._transfer = transfer
        self._shared = shared
        self._location = session.location
        self._layers = [_Layer(blob) for blob in wanted]
        self._slots = asyncio.Semaphore(_CONCURRENT_BLOBS)

    async def run(self, wanted: Collection[str]) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Do it, while all `wanted` blobs, those that are stored among them, are kept.

        Raises:
            PaddockError: what kept the first blob that failed; the others are given up.
        """
        work = asyncio.create_task(self._transfer_all(wanted))
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=_TICK_SECONDS)
                for line in self._news():
                    yield line
            await work
            # It may have ended while whoever listens took the lines before.
            for line in self._news():
                yield line
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def _news(self) -> Iterator[registry_pb2.Progress]:
        """Tell what has ended, and of what is running that of which nothing was told longest."""
        for layer in self._layers:
            if layer.finished and layer.has_news:
                yield layer.line(self._verb)
        changed = [layer for layer in self._layers if layer.has_news]
        for layer in sorted(changed, key=lambda layer: layer.told_at)[:_LINES_PER_TICK]:
            yield layer.line(self._verb)

    async def _transfer_all(self, wanted: Collection[str]) -> None:
        try:
            kept = retaining(self._blobs, lambda: wanted, delay=RETAIN_INTERVAL)
            async with kept, asyncio.TaskGroup() as group:
                for layer in self._layers:
                    group.create_task(self._run(layer))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _run(self, layer: _Layer) -> None:
        blob = layer.blob

        async def run(progress: Progress) -> None:
            await self._transfer.run(blob.digest, blob.size, progress)

        place = self._location
        key = BlobKey(place.base_urls, place.repository, place.insecure, blob.digest, blob.size)
        async with self._slots, self._shared.join(key, run) as transfer:
            layer.progress = transfer.progress
            layer.started = True
            await transfer.finished()
        layer.finished = True
