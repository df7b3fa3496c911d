"""Adapters as layers of models: made of files, taken over, replaced."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from common.errors import InvalidModel
from services.registry import media_types
from services.registry.adapters.adapter import read_adapter
from services.registry.adapters.files import GGUF, choose_files, name_by_content
from services.registry.adapters.fit import Shape, check_fit, shapes_of_files
from services.registry.base_model import Base, BaseModels
from services.registry.blob_client import BlobClient
from services.registry.capabilities import COMPLETION, EMBEDDING
from services.registry.contents import Contents
from services.registry.gguf.layers import model_digests
from services.registry.manifest import Layer

_START = 64  # bytes that tell what a file is


def adapter_files(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Give a model's adapter by the names of its files; empty: it has none.

    Raises:
        InvalidModel: it has several.
    """
    found = [layer for layer in layers if layer.media_type == media_types.ADAPTER]
    files = {layer.name or GGUF: layer for layer in found}
    if len(files) != len(found) or (GGUF in files and len(files) > 1):
        raise InvalidModel("a model with several adapters is not supported")
    return files


def replace_adapter(base: Base, adapter: Sequence[Layer]) -> Base:
    """Put an adapter in the place of a model's own; without one it stays as it is."""
    if not adapter:
        return base
    others = tuple(layer for layer in base.layers if layer.media_type != media_types.ADAPTER)
    about = (*base.about, "reading adapter metadata")
    return replace(base, layers=(*others, *adapter), about=about)


class Adapters:
    """Checks adapters against the models that they are to be added to."""

    def __init__(self, blobs: BlobClient, contents: Contents, bases: BaseModels) -> None:
        self._blobs = blobs
        self._contents = contents
        self._bases = bases

    async def check(self, base: Base, files: Mapping[str, str]) -> tuple[Layer, ...]:
        """Make layers of an adapter's files, given as path to digest.

        Raises:
            InvalidModel: they make no adapter, or one that does not fit the model.
        """
        if not files:
            return ()
        await self._check_base(base)
        await self._blobs.retain(set(files.values()))
        sizes = await self._blobs.sizes(files.values())
        for path, digest in files.items():
            if digest not in sizes:
                raise InvalidModel(f'file "{path}": blob {digest} is not stored')
        chosen = choose_files(await self._named(files))
        adapter = await read_adapter(self._contents, chosen)
        shapes, architecture = await read_shapes(self._contents, base.layers)
        await asyncio.to_thread(check_fit, adapter, shapes, architecture)
        return tuple(
            Layer(
                media_type=media_types.ADAPTER,
                digest=digest,
                size=sizes[digest],
                name="" if name == GGUF else name,
            )
            for name, digest in chosen.items()
        )

    async def _check_base(self, base: Base) -> None:
        own = base.config.capabilities or await self._bases.capabilities_of_files(base)
        if EMBEDDING in own and COMPLETION not in own:
            raise InvalidModel("adapters for embedding models are not supported")

    async def _named(self, files: Mapping[str, str]) -> dict[str, str]:
        """Name the files that came as digests alone."""
        named = {}
        for path, digest in files.items():
            name = path
            if "." not in path:
                start = await self._blobs.read(digest, length=_START)
                name = name_by_content(start) or path
            named[name] = digest
        return named


async def read_shapes(
    contents: Contents, layers: Iterable[Layer]
) -> tuple[dict[str, Shape | None], str]:
    """Give the shapes of a model's layers, and its architecture if their names are GGUF's.

    Raises:
        BlobNotFound: a file is not stored.
        InvalidModel: one is damaged.
    """
    layers = tuple(layers)
    if digests := model_digests(layers):
        files = [await contents.gguf(digest) for digest in digests]
        shapes: dict[str, Shape | None] = {
            tensor.name.removesuffix(".weight"): (tensor.shape[1], tensor.shape[0])
            for file in files
            for tensor in file.tensors
            if len(tensor.shape) == 2
        }
        return shapes, files[0].architecture
    weights = [layer for layer in layers if layer.media_type == media_types.WEIGHT_FILE]
    tensors = [tensor for layer in weights for tensor in await contents.tensors(layer.digest)]
    return shapes_of_files(tensors), ""
