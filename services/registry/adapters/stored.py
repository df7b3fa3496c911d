"""The adapters of stored models, which anybody may have put there."""

import asyncio
from collections.abc import Iterable

from services.registry import media_types
from services.registry.adapters.adapter import Adapter, read_adapter
from services.registry.adapters.fit import check_fit
from services.registry.adapters.layers import adapter_files, read_shapes
from services.registry.cache import Cache, Loaded
from services.registry.contents import Contents
from services.registry.manifest import Layer

_CACHE = 4 * 1024 * 1024
_LAYER_SIZE = 512  # bytes of memory

_KINDS = (media_types.ADAPTER, media_types.GGUF, media_types.WEIGHT_FILE)


class StoredAdapters:
    """Reads adapters and holds them to the models that they are part of, each once."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._checked = Cache(self._check, _CACHE)

    async def read(self, layers: Iterable[Layer]) -> Adapter:
        """Read the adapter of a model that has one.

        Raises:
            BlobNotFound: a file is not stored.
            InvalidModel: the adapter is damaged, of a kind that no engine applies, or for
                another model.
        """
        return await self._checked.get(tuple(it for it in layers if it.media_type in _KINDS))

    async def _check(self, layers: tuple[Layer, ...]) -> Loaded[Adapter]:
        files = {name: layer.digest for name, layer in adapter_files(layers).items()}
        adapter = await read_adapter(self._contents, files)
        shapes, architecture = await read_shapes(self._contents, layers)
        await asyncio.to_thread(check_fit, adapter, shapes, architecture)
        return Loaded(adapter, len(adapter.layers) * _LAYER_SIZE)
