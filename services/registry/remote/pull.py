"""Brings models from other registries (the pull half of Docker's registry protocol 2).

Protocol: distribution.github.io/distribution/spec/api, as Ollama's client speaks it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from common.errors import InvalidModel, RegistryFailed
from common.names import ModelName
from protos.paddock.v1 import registry_pb2
from services.registry.blob_client import BlobClient
from services.registry.catalog import Catalog
from services.registry.contents import Contents
from services.registry.manifest import Manifest, parse_manifest
from services.registry.model_config import parse_model_config
from services.registry.pulled_weights import PulledWeights
from services.registry.references import parse_new_name
from services.registry.remote.blob_download import BlobDownload
from services.registry.remote.client import RemoteClient
from services.registry.remote.layers import LayerTransfers, layer_line
from services.registry.remote.manifests import (
    NoGguf,
    about_manifest,
    blobs_of,
    check_manifest,
    fetch_manifest,
)
from services.registry.remote.session import RemoteSession
from services.registry.remote.shared_transfers import SharedTransfers


class Hub(Protocol):
    """The way to Hugging Face's repositories that hold no GGUF."""

    def pull(
        self, name: ModelName, *, insecure: bool
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Bring a repository's model and store it under the name.

        Gives the lines between `pulling manifest` and `success`.
        """


class Puller:
    """Pulls models. Nothing can be seen of one before it is complete.

    Pulls of this process share what they download, and `RemoteSettings.window`.
    """

    def __init__(
        self,
        blobs: BlobClient,
        contents: Contents,
        catalog: Catalog,
        remote: RemoteClient,
        hub: Hub | None = None,
    ) -> None:
        self._blobs = blobs
        self._weights = PulledWeights(blobs, contents)
        self._catalog = catalog
        self._remote = remote
        self._hub = hub
        self._downloads = SharedTransfers()

    async def pull(
        self, model: str, *, insecure: bool
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Bring a model, or what has changed of it, and report each step.

        Raises:
            InvalidName, InvalidRequest: the name is none, or asks for plain HTTP.
            RegistryFailed: the registry has no such model, fails, or lies.
            StoreFull: there is no room for it.
        """
        name = parse_new_name(model)
        location = self._remote.locate(model, insecure=insecure)
        yield _line("pulling manifest")
        session = await self._remote.session(location)
        try:
            with about_manifest():
                content = await fetch_manifest(session, self._remote.settings.manifest_retries)
                manifest = check_manifest(content)
        except NoGguf as error:
            steps = self._from_hub(name, error, insecure)
        else:
            steps = self._store(name, session, content, manifest)
        async with aclosing(steps):
            async for progress in steps:
                yield progress
        yield _line("success")

    async def _from_hub(
        self, name: ModelName, refusal: NoGguf, insecure: bool
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        if self._hub is None:
            raise RegistryFailed(f"pull model manifest: {refusal}")
        async with aclosing(self._hub.pull(name, insecure=insecure)) as steps:
            async for progress in steps:
                yield progress

    async def _store(
        self, name: ModelName, session: RemoteSession, content: bytes, manifest: Manifest
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        async with aclosing(self._fetch(session, manifest)) as lines:
            async for line in lines:
                yield line
        # Each digest was verified while the bytes were written.
        yield _line("verifying sha256 digest")
        await self._check_sizes(manifest)
        await self._check_config(manifest)
        await self._weights.check(manifest)
        yield _line("writing manifest")
        unused = await self._is_releasing(name, manifest)
        await self._catalog.save(name, content)
        if unused:
            yield _line("removing unused layers")

    async def _fetch(
        self, session: RemoteSession, manifest: Manifest
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        blobs = blobs_of(manifest)
        missing = set(await self._blobs.retain(manifest.digests))
        for blob in blobs:
            if blob.digest not in missing:
                yield layer_line("pulling", blob, blob.size)
        download = BlobDownload(self._blobs, session, self._remote)
        wanted = [blob for blob in blobs if blob.digest in missing]
        layers = LayerTransfers("pulling", self._blobs, download, self._downloads, session, wanted)
        async with aclosing(layers.run(manifest.digests)) as lines:
            async for line in lines:
                yield line

    async def _check_sizes(self, manifest: Manifest) -> None:
        """Compare the manifest's sizes with those of blobs that were here already."""
        sizes = await self._blobs.sizes(manifest.digests)
        for blob in blobs_of(manifest):
            if sizes.get(blob.digest, blob.size) != blob.size:
                raise RegistryFailed(
                    f"{blob.digest} has {sizes[blob.digest]} bytes where its manifest says "
                    f"{blob.size}"
                )

    async def _check_config(self, manifest: Manifest) -> None:
        """Hold the config to be one: lists of models read it."""
        content = await self._blobs.read(manifest.config.digest, length=manifest.config.size)
        with about_manifest():
            await asyncio.to_thread(parse_model_config, content)

    async def _is_releasing(self, name: ModelName, manifest: Manifest) -> bool:
        """Tell whether the model of that name has blobs that the new one does not."""
        stored = await self._catalog.find(name)
        if stored is None:
            return False
        try:
            return bool(parse_manifest(stored.content).digests - manifest.digests)
        except InvalidModel:
            return False


def _line(status: str) -> registry_pb2.Progress:
    return registry_pb2.Progress(status=status)
