"""What has to be in the store before a model can be made of it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from common.errors import ModelNotFound, RegistryFailed
from protos.paddock.v1 import registry_pb2
from services.registry.catalog import Catalog
from services.registry.references import parse_name
from services.registry.remote.pull import Puller


class Prerequisites:
    """Pulls the model that another one is to be made from, where it is not stored."""

    def __init__(self, catalog: Catalog, puller: Puller) -> None:
        self._catalog = catalog
        self._puller = puller

    async def pull(self, base: str) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Pull a model unless it is stored, and report each step but the last.

        Nothing is reported before the other registry is known to have it.

        Raises:
            ModelNotFound: it is neither here nor there.
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
