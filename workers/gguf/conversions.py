"""What engines load of GGUF models: found here, found in the store, or made."""

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import Protocol

from common.errors import InvalidModel, PaddockError
from common.names import ModelName
from protos.paddock.v1 import blob_pb2_grpc, model_pb2
from workers.cache import FileCache
from workers.cache_entry import HeldFolder
from workers.gguf.derived import conversion_name, find_conversion, share_conversion
from workers.gguf.paths import find_files, is_gguf_path
from workers.gguf.plugin import ARCHITECTURES, has_plugin
from workers.gguf.process import convert_in_process, measure_in_process

logger = logging.getLogger(__name__)

# Bytes of the files beside the weights: vocabularies of a quarter of a million tokens.
_OTHER_FILES = 64 << 20


class Watcher(Protocol):
    """Is told how far a model's files are."""

    def fetching(self, total: int) -> None:
        """So many bytes have to come from the store; none of them are here."""

    def fetched(self, size: int) -> None:
        """So many more bytes came."""

    def converting(self, completed: int, total: int) -> None:
        """So many bytes are converted."""


class Conversions:
    """Brings GGUF models in the form that engines load: once converted, it is kept and shared."""

    def __init__(
        self, cache: FileCache, blobs: blob_pb2_grpc.BlobServiceStub, *, accelerator: bool
    ) -> None:
        self._cache = cache
        self._blobs = blobs
        self._serves_gguf = accelerator and has_plugin()
        self._sharing: set[asyncio.Task[None]] = set()
        self._shared: set[str] = set()

    async def fetch(self, spec: model_pb2.ModelSpec, watcher: Watcher) -> HeldFolder:
        """Give the folder that an engine loads for a GGUF model; it stays until it is released.

        Raises:
            InvalidModel: the files are damaged, or of a kind that is not supported.
            LoadFailed: they cannot be converted here.
            PaddockError: they could not be brought here.
        """
        sources = _sources(spec)
        name = conversion_name(sources)
        # What the plugin's layers do with adapters is not known.
        fit = spec.details.family in ARCHITECTURES and not spec.HasField("adapter")
        if self._serves_gguf and fit:
            return await self._native_or_converted(spec, name, watcher)
        return await self._converted(spec, name, watcher)

    async def aclose(self) -> None:
        """Stop storing conversions."""
        for task in self._sharing:
            task.cancel()
        await asyncio.gather(*self._sharing, return_exceptions=True)

    async def _native_or_converted(
        self, spec: model_pb2.ModelSpec, name: ModelName, watcher: Watcher
    ) -> HeldFolder:
        identity = _identity(name, "native")
        if held := await self._cache.find(identity):
            return held
        source = await self._source(spec, watcher)
        try:
            _, native = await measure_in_process(source.path)
            if not native:
                return await self._converted(spec, name, watcher)

            async def build(folder: Path) -> None:
                await convert_in_process(source.path, folder, watcher.converting, weights=False)
                await asyncio.to_thread(_link_files, source.path, folder)

            return await self._cache.add(
                identity, build, name=spec.name, size=_OTHER_FILES, sources=_digests(spec)
            )
        finally:
            source.release()

    async def _converted(
        self, spec: model_pb2.ModelSpec, name: ModelName, watcher: Watcher
    ) -> HeldFolder:
        identity = _identity(name, "converted")
        if held := await self._cache.find(identity):
            await self._share(spec.name, name, identity)  # whoever made it may have died before
            return held
        if files := await self._find(name):
            watcher.fetching(sum(file.size for file in files))
            try:
                return await self._cache.fetch(identity, files, watcher.fetched, name=spec.name)
            except PaddockError as error:
                logger.warning("cannot use the conversion of %s: %s", spec.name, error)
        return await self._convert(spec, name, identity, watcher)

    async def _find(self, name: ModelName) -> list[model_pb2.ModelFile] | None:
        try:
            return await find_conversion(self._blobs, name)
        except PaddockError as error:
            logger.warning("cannot look for a conversion: %s", error)
            return None

    async def _convert(
        self, spec: model_pb2.ModelSpec, name: ModelName, identity: str, watcher: Watcher
    ) -> HeldFolder:
        async def build(folder: Path) -> None:
            await convert_in_process(source.path, folder, watcher.converting)

        source = await self._source(spec, watcher)
        try:
            size, _ = await measure_in_process(source.path)
            need = size + min(_OTHER_FILES, sum(file.size for file in spec.files))
            held = await self._cache.add(
                identity, build, name=spec.name, size=need, sources=_digests(spec)
            )
        finally:
            source.release()
        await self._share(spec.name, name, identity)
        return held

    async def _source(self, spec: model_pb2.ModelSpec, watcher: Watcher) -> HeldFolder:
        watcher.fetching(sum(file.size for file in spec.files))
        return await self._cache.fetch(spec.weights, spec.files, watcher.fetched, name=spec.name)

    async def _share(self, model: str, name: ModelName, identity: str) -> None:
        """Begin to store a conversion that is here, where the store is not known to have it."""
        if identity in self._shared or not (held := await self._cache.find(identity)):
            return
        self._shared.add(identity)
        task = asyncio.create_task(self._store(model, name, identity, held))
        self._sharing.add(task)
        task.add_done_callback(self._sharing.discard)

    async def _store(self, model: str, name: ModelName, identity: str, held: HeldFolder) -> None:
        try:
            if await find_conversion(self._blobs, name) is None:
                await share_conversion(self._blobs, name, held.path)
        except (PaddockError, OSError) as error:
            self._shared.discard(identity)
            logger.warning("cannot store the conversion of %s: %s", model, error)
        finally:
            held.release()


def _sources(spec: model_pb2.ModelSpec) -> list[model_pb2.ModelFile]:
    files = [file for file in spec.files if is_gguf_path(file.path)]
    if not files:
        raise InvalidModel("the model has no GGUF file")
    return sorted(files, key=lambda file: file.path)


def _digests(spec: model_pb2.ModelSpec) -> list[str]:
    return [file.digest for file in _sources(spec)]


def _identity(name: ModelName, kind: str) -> str:
    return hashlib.sha256(f"{name.path} {kind}".encode()).hexdigest()


def _link_files(source: Path, folder: Path) -> None:
    for file in find_files(source):
        target = folder / file.name
        if file.is_symlink():
            target.symlink_to(file.readlink())
        else:
            target.hardlink_to(file)
