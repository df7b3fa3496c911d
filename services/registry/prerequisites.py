"""What has to be in the store before a model can be made of it."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing

from common.errors import ModelNotFound, RegistryFailed
from protos.paddock.v1 import registry_pb2
from services.registry.blob_client import BlobClient
from services.registry.catalog import Catalog
from services.registry.creation_request import CreationRequest
from services.registry.local_import import LocalImport
from services.registry.references import parse_name
from services.registry.remote.pull import Puller
from services.registry.retention import RETAIN_INTERVAL, retaining


class Prerequisites:
    """Brings what one model is to be made of into the store, from wherever it is.

    A base that is not stored is pulled, and files of this machine become blobs. Meanwhile
    what was uploaded for the model is kept from collection.
    """

    def __init__(
        self,
        blobs: BlobClient,
        catalog: Catalog,
        puller: Puller,
        request: CreationRequest,
        keep_interval: float = RETAIN_INTERVAL,
    ) -> None:
        self._blobs = blobs
        self._catalog = catalog
        self._puller = puller
        self._request = request
        self._keep_interval = keep_interval
        of_adapter = request.local_adapters
        self._local_model = LocalImport(blobs, request.local_files)
        self._local_adapter = LocalImport(blobs, of_adapter, chosen=of_adapter)

    @property
    def files(self) -> Mapping[str, str]:
        """Path in the model's folder to digest; empty where it is made from another model."""
        return self._request.files or self._local_model.digests

    @property
    def adapters(self) -> Mapping[str, str]:
        """Path in the adapter's folder to digest; empty where none was given."""
        return self._request.adapters or self._local_adapter.digests

    async def run(self) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Bring everything, and report each step.

        Raises:
            ModelNotFound: the base is not stored and cannot be pulled.
            InvalidModel: the files of this machine cannot make a model.
            InvalidRequest: one of them cannot be read, or changes while it is being read.
        """
        async with retaining(self._blobs, self._digests, self._keep_interval):
            for steps in self._all_steps():
                async with aclosing(steps):
                    async for progress in steps:
                        yield progress

    def _all_steps(self) -> Iterator[AsyncGenerator[registry_pb2.Progress, None]]:
        if self._request.base:
            yield self._pull(self._request.base)
        if self._request.local_files:
            yield self._local_model.run()
        if self._request.local_adapters:
            yield self._local_adapter.run()

    def _digests(self) -> set[str]:
        return {*self.files.values(), *self.adapters.values()}

    async def _pull(self, base: str) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Pull a model unless it is stored, and report each step but the last.

        Nothing is reported before the other registry is known to have it.
        """
        if await self._catalog.find(parse_name(base)):
            return
        async with aclosing(self._puller.pull(base, insecure=False)) as steps:
            first = await anext(steps)
            try:
                second = await anext(steps)
            except RegistryFailed as error:
                text = f"model '{base}' not found, and it cannot be pulled: {error.message}"
                raise ModelNotFound(text) from error
            yield first
            yield second
            async for progress in steps:
                if progress.status != "success":
                    yield progress
