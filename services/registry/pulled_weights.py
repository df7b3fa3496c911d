"""Whether the weights of a model from elsewhere are what their media types say.

Only headers are read. A model that no engine here serves is sound nevertheless: it may be
kept, listed and pushed. That goes for unknown architectures, for versions and types that are
not read here, and for what GGUF's forerunners left.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from common.errors import InvalidModel, RegistryFailed
from services.registry import media_types
from services.registry.blob_client import BlobClient
from services.registry.contents import Contents
from services.registry.errors import UnreadKind, in_file
from services.registry.gguf.file import GgufFile
from services.registry.manifest import Layer, Manifest
from services.registry.weights import read_tensors

# Of files of GGML's earlier formats.
_FORERUNNERS = (b"lmgg", b"fmgg", b"tjgg", b"algg")
_MAGIC_SIZE = 4
_SAFETENSORS = ".safetensors"
_GGUF = ".gguf"


class PulledWeights:
    """Looks at the weights of models that were pulled."""

    def __init__(self, blobs: BlobClient, contents: Contents) -> None:
        self._blobs = blobs
        self._contents = contents

    async def check(self, manifest: Manifest) -> None:
        """Hold a model's weights to be sound, all its blobs being stored.

        Raises:
            RegistryFailed: they are not; the message names the layer or the file.
        """
        await self._check_model(manifest.of_type(media_types.GGUF))
        for layer in manifest.layers:
            if _is_other_gguf(layer):
                await self._read_gguf(layer)
        await self._check_adapters(manifest.of_type(media_types.ADAPTER))
        try:
            await self._check_files(manifest.of_type(media_types.WEIGHT_FILE), manifest.files)
        except InvalidModel as error:
            raise RegistryFailed(error.message) from error

    async def _check_model(self, layers: Iterable[Layer]) -> None:
        files = await asyncio.gather(*(self._read_gguf(layer) for layer in layers))
        if not files or not all(files):
            return
        found = [file for file in files if file]
        if not any(file.architecture for file in found):
            raise RegistryFailed('the model says no "general.architecture"')
        if not any(file.tensors for file in found):
            raise RegistryFailed("the model holds no tensors")

    async def _check_adapters(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            if layer.name.endswith(_SAFETENSORS):
                with _in_layer(layer):
                    await self._contents.tensors(layer.digest)
            elif not layer.name:
                await self._read_gguf(layer)

    async def _check_files(self, weights: list[Layer], files: Iterable[Layer]) -> None:
        """Look at a folder's safetensors files, and whether all of them are there."""
        if not any(layer.name.endswith(_SAFETENSORS) for layer in weights):
            return
        by_file = await read_tensors(self._contents, {it.name: it.digest for it in files})
        if not any(by_file.values()):
            raise InvalidModel("the safetensors files hold no tensors")

    async def _read_gguf(self, layer: Layer) -> GgufFile | None:
        """Read a file's header; None for one of a kind that is not read here."""
        start = await self._blobs.read(layer.digest, length=_MAGIC_SIZE)
        if start in _FORERUNNERS:
            return None
        with _in_layer(layer):
            try:
                return await self._contents.gguf(layer.digest)
            except UnreadKind:
                return None


def _is_other_gguf(layer: Layer) -> bool:
    if layer.media_type == media_types.WEIGHT_FILE:
        return layer.name.endswith(_GGUF)
    return layer.media_type == media_types.PROJECTOR


@contextmanager
def _in_layer(layer: Layer) -> Iterator[None]:
    """Say which layer is damaged, and that the registry is to blame."""
    try:
        with in_file(f"layer {layer.name or layer.digest}"):
            yield
    except InvalidModel as error:
        raise RegistryFailed(error.message) from error
