"""The adapters of one engine."""

import asyncio
from collections.abc import Collection
from pathlib import Path

from protos.paddock.v1 import model_pb2
from workers.cache_entry import HeldFolder
from workers.files import Files
from workers.lora.files import fetch_adapter
from workers.slot import ReadyEngine


class AppliedAdapters:
    """Brings adapters to an engine, each once however many wait for it.

    An adapter's files stay as long as somebody may use it: the engine reads them again when
    it had no place for it for a while.
    """

    def __init__(self, ready: ReadyEngine, files: Files, base: Path) -> None:
        self._ready = ready
        self._files = files
        self._base = base
        self._tasks: dict[str, asyncio.Task[ReadyEngine]] = {}
        self._folders: dict[str, HeldFolder] = {}

    async def apply(self, spec: model_pb2.ModelSpec) -> ReadyEngine:
        """Give the engine with a model's adapter.

        Raises:
            InvalidModel: the adapter is of a kind that is not supported.
            LoadFailed: the engine refused it.
            PaddockError: its files could not be brought here.
        """
        digest = spec.adapter.digest
        if digest not in self._tasks:
            load = self._load(spec)
            self._tasks[digest] = asyncio.create_task(load, name=f"adapter of {spec.name}")
        # Not cancelled with one who waits: others may wait as well.
        return await asyncio.shield(self._tasks[digest])

    def has(self, digest: str) -> bool:
        """Tell whether an adapter is here, or on its way."""
        return digest in self._tasks

    def keep(self, digests: Collection[str]) -> None:
        """Let the files of all other adapters go, but for those that are being brought."""
        for digest in self._folders.keys() - set(digests):
            if self._tasks[digest].done():
                self._folders.pop(digest).release()
                del self._tasks[digest]

    def close(self) -> None:
        """Let all go, after the engine has ended."""
        for task in self._tasks.values():
            task.cancel()
        for folder in self._folders.values():
            folder.release()

    async def _load(self, spec: model_pb2.ModelSpec) -> ReadyEngine:
        digest = spec.adapter.digest
        try:
            folder = await fetch_adapter(self._files, spec, self._base)
            self._folders[digest] = folder
            engine = await self._ready.engine.adapt(digest, folder.path)
        except BaseException:
            if held := self._folders.pop(digest, None):
                held.release()
            del self._tasks[digest]
            raise
        return self._ready.with_engine(engine)
