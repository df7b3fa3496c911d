"""Files of this machine on their way into the store."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from os import fstat
from pathlib import Path

from common.errors import InvalidModel
from protos.paddock.v1 import blob_pb2, registry_pb2
from services.registry.blob_client import BlobClient
from services.registry.model_files import choose_files
from services.registry.server_files import open_file

_PIECE = 1024 * 1024
_REPORT_INTERVAL = 0.1  # seconds


class LocalImport:
    """Stores those files that make up a model, one after the other.

    One piece of one file is in memory at a time.
    """

    def __init__(
        self, blobs: BlobClient, files: Mapping[str, Path], keep_interval: float = 600
    ) -> None:
        self._blobs = blobs
        self._files = files
        self._keep_interval = keep_interval
        self._kept_at = asyncio.get_running_loop().time()
        self.digests: dict[str, str] = {}
        """Path in the model's folder to digest, of each file that is stored already."""

    async def run(self) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Store the files and report how far each is.

        Raises:
            InvalidModel: they cannot make one.
            InvalidRequest: a file cannot be read, or changes while it is being read.
        """
        chosen = choose_files(self._files)
        if "config.json" not in chosen:
            raise InvalidModel("config.json is missing")
        for path in chosen:
            async with aclosing(self._store(path, self._files[path])) as steps:
                async for progress in steps:
                    yield progress
                    await self._keep_young()

    async def _keep_young(self) -> None:
        """Lose no file to collection because the import takes longer than its grace period."""
        now = asyncio.get_running_loop().time()
        if now - self._kept_at >= self._keep_interval:
            self._kept_at = now
            await self._blobs.retain(self.digests.values())

    async def _store(self, path: str, place: Path) -> AsyncGenerator[registry_pb2.Progress, None]:
        file = await asyncio.to_thread(open_file, place)
        try:
            size = fstat(file.fileno()).st_size
            progress = registry_pb2.Progress(status=f"importing {path}", total=size)
            yield progress
            async with self._blobs.begin_write(size) as upload:
                clock = asyncio.get_running_loop().time
                reported_at = clock()
                while piece := await asyncio.to_thread(file.read, _PIECE):
                    await upload.send(blob_pb2.WriteRequest(data=piece))
                    progress.completed += len(piece)
                    if clock() - reported_at >= _REPORT_INTERVAL:
                        reported_at = clock()
                        yield progress
                blob = await upload.finish()
        finally:
            await asyncio.to_thread(file.close)
        self.digests[path] = blob.digest
        yield registry_pb2.Progress(
            status=f"importing {path}", digest=blob.digest, total=size, completed=size
        )
