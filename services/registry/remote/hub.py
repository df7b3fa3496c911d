"""Brings safetensors models from Hugging Face's hub.

What its registry protocol serves is GGUF alone. Here a repository is listed through
`huggingface_hub`, its large files are read like any registry's blobs, and the manifest is
the one that creating a model of the same files makes, with the revision written down.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from common.errors import RegistryFailed
from common.names import DEFAULT_TAG, ModelName
from protos.paddock.v1 import registry_pb2
from services.registry import media_types
from services.registry.base_model import BaseModels
from services.registry.blob_client import BlobClient
from services.registry.catalog import Catalog
from services.registry.manifest import Descriptor, Manifest
from services.registry.model_files import check_files, choose_files
from services.registry.remote.blob_download import BlobDownload
from services.registry.remote.client import RemoteClient
from services.registry.remote.hub_repository import HubFile, HubRepository, describe_repository
from services.registry.remote.layers import LayerTransfers, layer_line
from services.registry.remote.location import RegistryLocation
from services.registry.remote.manifests import about_manifest
from services.registry.remote.pace import Pace, watched
from services.registry.remote.retries import with_retries
from services.registry.remote.session import RemoteSession
from services.registry.remote.shared_transfers import SharedTransfers

_MAIN = "main"
# Git takes larger files only through its large file storage, which has digests.
_LARGEST_IN_GIT = 16 * 1024 * 1024
_SMALL_AT_ONCE = 4

_REVISION = "org.opencontainers.image.revision"
_SOURCE = "org.opencontainers.image.source"


@dataclass(frozen=True)
class _HubLocation(RegistryLocation):
    """A repository whose blobs are files."""

    paths: Mapping[str, str] = field(default_factory=dict)

    def blob_path(self, digest: str) -> str:
        return self.paths[digest]


class HuggingFace:
    """Repositories of Hugging Face's hub that hold no GGUF."""

    def __init__(
        self,
        blobs: BlobClient,
        bases: BaseModels,
        catalog: Catalog,
        remote: RemoteClient,
    ) -> None:
        self._blobs = blobs
        self._bases = bases
        self._catalog = catalog
        self._remote = remote
        self._downloads = SharedTransfers()

    async def pull(
        self, name: ModelName, *, insecure: bool
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Bring a repository's model and store it under the name; the tag is a revision.

        Raises:
            RegistryFailed: there is no such repository, or the hub fails.
            InvalidModel: its files do not make a model.
        """
        repository = await self._describe(name)
        # Paths that could lead elsewhere are refused before anything is read.
        check_files({file.path: f"sha256:{'0' * 64}" for file in repository.files})
        kinds = choose_files([file.path for file in repository.files])
        wanted = [file for file in repository.files if file.path in kinds]
        session = await self._remote.session(self._location(repository, wanted, insecure))
        digests = {file.path: file.digest for file in wanted if file.digest}
        async with aclosing(self._fetch_large(session, wanted)) as lines:
            async for line in lines:
                yield line
        digests |= await self._fetch_small(session, repository, wanted)
        yield registry_pb2.Progress(status="verifying sha256 digest")
        content = await self._manifest(repository, digests)
        yield registry_pb2.Progress(status="writing manifest")
        await self._catalog.save(name, content)

    async def _describe(self, name: ModelName) -> HubRepository:
        settings = self._remote.settings
        revision = _MAIN if name.tag == DEFAULT_TAG else name.tag

        async def attempt() -> HubRepository:
            return await asyncio.to_thread(
                describe_repository,
                settings.hub,
                f"{name.namespace}/{name.model}",
                revision,
                settings.hub_token,
            )

        with about_manifest():
            return await with_retries(attempt, settings.manifest_retries)

    def _location(
        self, repository: HubRepository, files: list[HubFile], insecure: bool
    ) -> RegistryLocation:
        paths = {file.digest: repository.file_path(file.path) for file in files if file.digest}
        return _HubLocation(
            (repository.endpoint,),
            repository.name,
            repository.revision,
            insecure,
            is_hub=True,
            paths=paths,
        )

    async def _fetch_large(
        self, session: RemoteSession, files: list[HubFile]
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        blobs = {
            file.digest: Descriptor(
                media_type=media_types.WEIGHT_FILE, digest=file.digest, size=file.size
            )
            for file in files
            if file.digest
        }
        missing = set(await self._blobs.retain(blobs.keys()))
        for blob in blobs.values():
            if blob.digest not in missing:
                yield layer_line("pulling", blob, blob.size)
        download = BlobDownload(self._blobs, session, self._remote)
        wanted = [blob for blob in blobs.values() if blob.digest in missing]
        layers = LayerTransfers("pulling", self._blobs, download, self._downloads, session, wanted)
        async with aclosing(layers.run(blobs.keys())) as lines:
            async for line in lines:
                yield line

    async def _fetch_small(
        self, session: RemoteSession, repository: HubRepository, files: list[HubFile]
    ) -> dict[str, str]:
        """Store the files that lie in Git; give their digests by path."""
        slots = asyncio.Semaphore(_SMALL_AT_ONCE)
        digests: dict[str, str] = {}

        async def fetch(file: HubFile) -> None:
            async with slots:
                content = await self._read(session, repository.file_path(file.path), file)
                digests[file.path] = (await self._blobs.write(content)).digest

        try:
            async with asyncio.TaskGroup() as group:
                for file in files:
                    if not file.digest:
                        group.create_task(fetch(file))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return digests

    async def _read(self, session: RemoteSession, path: str, file: HubFile) -> bytes:
        if file.size > _LARGEST_IN_GIT:
            raise RegistryFailed(f"{file.path} has {file.size} bytes and no digest")

        async def attempt() -> bytes:
            async with session.request("GET", path) as response:
                content = bytearray()
                pace = Pace(self._remote.settings.stalls)
                async for piece in watched(response.content.iter_any(), pace):
                    content += piece
                    if len(content) > file.size:
                        break
                return bytes(content)

        content = await with_retries(attempt, self._remote.settings.retries)
        if len(content) != file.size:
            raise RegistryFailed(f"{file.path} has not the {file.size} bytes that it should have")
        return content

    async def _manifest(self, repository: HubRepository, digests: Mapping[str, str]) -> bytes:
        base = await self._bases.of_files(digests, digests)
        config = await self._blobs.write(base.config.encode())
        descriptor = Descriptor(
            media_type=media_types.CONFIG, digest=config.digest, size=config.size
        )
        annotations = {_SOURCE: repository.url, _REVISION: repository.revision}
        return Manifest(config=descriptor, layers=base.layers, annotations=annotations).encode()
