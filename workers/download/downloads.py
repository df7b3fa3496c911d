"""Bringing whole blobs: their ranges in parallel, each tried again until it is here.

Bytes are read, written and hashed on threads. Nothing is tidied up after a failure: the
process ends then.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from common.digests import parse_digest
from common.errors import DigestMismatch, StoreFailed, Unavailable
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc
from workers.download.partial_file import PartialFile, Range
from workers.download.ranged_get import Interrupted, RangeClient, Refused
from workers.download.settings import DownloadLimits
from workers.download.source import Detour, Source
from workers.tasks import run_all

# Blobs that are read at once: hashing keeps up with more than one connection, not with all.
_PARALLEL_BLOBS = 4
# Ranges that are read at once through the service, whose bytes pass over the event loop.
_PARALLEL_CALLS = 4


@dataclass(frozen=True)
class Wanted:
    """A blob, and the files in which it is put together. Their folders exist."""

    digest: str
    """Normalised."""

    size: int
    """Bytes."""

    located: blob_pb2.LocateResponse
    """Where the service said that it is."""

    path: Path
    journal: Path


class Downloads:
    """Brings blobs within common limits.

    Memory: a mebibyte or two for each of `limits.parallel` ranges and for each of four blobs.

    `received` is told of bytes that arrive, on any thread; fewer than none are bytes that
    have to be read again.
    """

    def __init__(
        self,
        blobs: blob_pb2_grpc.BlobServiceStub,
        limits: DownloadLimits,
        received: Callable[[int], None],
    ) -> None:
        self._blobs = blobs
        self._received = received
        self._limits = limits
        self._client = RangeClient(limits)
        self._detour = Detour()
        self._readers = ThreadPoolExecutor(limits.parallel, "read-range")
        self._hashers = ThreadPoolExecutor(_PARALLEL_BLOBS, "hash-blob")
        self._ranges = asyncio.Semaphore(limits.parallel)
        self._calls = asyncio.Semaphore(_PARALLEL_CALLS)
        self._parallel_blobs = asyncio.Semaphore(_PARALLEL_BLOBS)

    async def bring(self, wanted: Wanted) -> None:
        """Bring a blob to `wanted.path`, going on from what an earlier attempt left there.

        Raises:
            DigestMismatch: its bytes are others; nothing of them is left.
            BlobNotFound: the store lacks it.
            StoreFailed, Unavailable: it cannot be read; what came stays for another attempt.
            OSError: it cannot be written.
        """
        source = Source(self._blobs, wanted.digest, wanted.located, self._detour)
        async with self._parallel_blobs:
            resumed, digest = await self._read_and_hash(wanted, source)
            if resumed and digest != wanted.digest:  # a crash of the machine can do that
                await asyncio.to_thread(_remove, wanted)
                self._received(-wanted.size)
                _, digest = await self._read_and_hash(wanted, source)
        if digest != wanted.digest:
            await asyncio.to_thread(_remove, wanted)
            raise DigestMismatch(f'digest mismatch, expected "{wanted.digest}", got "{digest}"')

    async def _read_and_hash(self, wanted: Wanted, source: Source) -> tuple[int, str]:
        """Bring all ranges; tell how many bytes had come earlier, and the digest of all."""
        file = await asyncio.to_thread(
            PartialFile,
            wanted.path,
            wanted.journal,
            wanted.size,
            self._limits.range_size,
            self._received,
        )
        loop = asyncio.get_running_loop()
        hashed = loop.run_in_executor(self._hashers, file.hexdigest)
        missing = file.missing()
        lanes = min(self._limits.parallel, len(missing))
        parts = iter(missing)
        await run_all(self._lane(parts, file, source) for _ in range(lanes))
        return file.resumed, parse_digest(f"sha256:{await hashed}")

    async def _lane(self, parts: Iterator[Range], file: PartialFile, source: Source) -> None:
        """Bring one range after another, until none is left."""
        for part in parts:
            await self._bring_range(part, file, source)

    async def _bring_range(self, part: Range, file: PartialFile, source: Source) -> None:
        failures = 0
        while part.position < part.end:
            position = part.position
            url = None
            try:
                url = await source.url()
                await (self._get(url, part, file) if url else self._call(source.digest, part, file))
            except (Interrupted, Unavailable, StoreFailed) as error:
                failures = 1 if part.position > position else failures + 1
                if failures >= self._limits.attempts:
                    source.give_up(url, str(error))
                    failures = 0
                elif isinstance(error, Refused):
                    source.refuse(url)
                await asyncio.sleep(self._limits.delay(max(failures, 1)))
        await asyncio.to_thread(file.complete, part)

    async def _get(self, url: str, part: Range, file: PartialFile) -> None:
        async with self._ranges:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._readers, self._client.read, url, part, file)

    async def _call(self, digest: str, part: Range, file: PartialFile) -> None:
        request = blob_pb2.ReadRequest(
            digest=digest, offset=part.position, length=part.end - part.position
        )
        loop = asyncio.get_running_loop()
        async with self._calls:
            call = self._blobs.Read(request)
            pieces = aiter(call)
            try:
                while (piece := await self._next(pieces)) is not None:
                    if len(piece) > part.end - part.position:
                        raise Interrupted("the service gave more than was wanted")
                    await loop.run_in_executor(self._readers, file.write, part, piece)
            finally:
                call.cancel()
        if part.position < part.end:
            raise Interrupted("ended early")

    async def _next(self, pieces: AsyncIterator[blob_pb2.ReadResponse]) -> bytes | None:
        try:
            async with asyncio.timeout(self._limits.stall_seconds):
                with rpc_errors():
                    response = await anext(pieces, None)
        except TimeoutError:
            raise Interrupted("stalled") from None
        return None if response is None else response.data


def _remove(wanted: Wanted) -> None:
    wanted.path.unlink(missing_ok=True)
    wanted.journal.unlink(missing_ok=True)
