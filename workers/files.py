"""The seam between models and the disk: where their files come from."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from protos.paddock.v1 import model_pb2
from workers.cache_entry import HeldFolder


class Files(Protocol):
    """Sets of files in folders: see `workers.cache.FileCache`."""

    async def fetch(
        self,
        identity: str,
        files: Sequence[model_pb2.ModelFile],
        progress: Callable[[int], None],
        *,
        name: str,
    ) -> HeldFolder:
        """Give the folder with a set of files; it stays until it is released."""

    async def add(
        self,
        identity: str,
        build: Callable[[Path], Awaitable[None]],
        *,
        name: str,
        size: int,
        sources: Iterable[str],
    ) -> HeldFolder:
        """Give the folder with what is made here; it stays until it is released."""
