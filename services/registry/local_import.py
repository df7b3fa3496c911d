"""Files of this machine on their way into the store."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from os import fstat
from pathlib import Path

from common.errors import InvalidModel
from protos.paddock.v1 import blob_pb2, registry_pb2
from services.registry.blob_client import BlobClient
from services.registry.gguf.header import MAGIC, is_gguf
from services.registry.model_files import choose_files, gguf_candidates
from services.registry.server_files import open_file

_PIECE = 1024 * 1024
_REPORT_INTERVAL = 0.1  # seconds


class LocalImport:
    """Stores files of a model or an adapter, one after the other.

    One piece of one file is in memory at a time.
    """

    def __init__(
        self,
        blobs: BlobClient,
        files: Mapping[str, Path],
        *,
        chosen: Collection[str] | None = None,
    ) -> None:
        """Prepare to store the `chosen` files; None: those that make up a model."""
        self._blobs = blobs
        self._files = files
        self._chosen = chosen
        self.digests: dict[str, str] = {}
        """Path in the model's folder to digest, of each file that is stored already."""

    async def run(self) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Store the files and report how far each is.

        Raises:
            InvalidModel: they cannot make one.
            InvalidRequest: a file cannot be read, or changes while it is being read.
        """
        for path in await asyncio.to_thread(self._choose):
            async with aclosing(self._store(path, self._files[path])) as steps:
                async for progress in steps:
                    yield progress

    def _choose(self) -> Collection[str]:
        if self._chosen is not None:
            return self._chosen
        candidates = gguf_candidates(self._files)
        if gguf := [path for path in candidates if is_gguf_file(self._files[path])]:
            return gguf
        chosen = choose_files(self._files)
        if "config.json" not in chosen:
            raise InvalidModel("config.json is missing")
        return chosen

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


def is_gguf_file(path: Path) -> bool:
    """Tell whether a file of this machine is GGUF; blocks.

    Raises:
        InvalidRequest: it cannot be read.
    """
    with open_file(path) as file:
        return is_gguf(file.read(len(MAGIC)))
