"""What a new model starts from: the files of one, or another model of this store."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from common.errors import InvalidModel, ModelNotFound
from services.registry import media_types
from services.registry.blob_client import BlobClient
from services.registry.catalog import Catalog
from services.registry.contents import Contents
from services.registry.gguf.header import MAGIC, NOT_GGUF, is_gguf
from services.registry.gguf.layers import arrange_layers, model_digests
from services.registry.gguf.model import read_model
from services.registry.layout import check_layout
from services.registry.manifest import Layer, parse_manifest
from services.registry.metadata import check_documents, read_metadata
from services.registry.model_config import ModelConfig
from services.registry.model_files import choose_files, gguf_candidates
from services.registry.references import parse_name


@dataclass(frozen=True)
class Base:
    """Layers, and the config blob that describes them."""

    config: ModelConfig
    layers: tuple[Layer, ...]
    left_out: tuple[str, ...] = ()
    """Files that were offered and that no engine reads."""

    about: tuple[str, ...] = ("reading model metadata",)
    """What was done to know it, for whoever waits."""

    def layer(self, *kinds: str) -> Layer | None:
        """Give the last layer of these media types."""
        return next((layer for layer in reversed(self.layers) if layer.media_type in kinds), None)


class BaseModels:
    """Finds and checks what models are made of."""

    def __init__(self, blobs: BlobClient, contents: Contents, catalog: Catalog) -> None:
        self._blobs = blobs
        self._contents = contents
        self._catalog = catalog

    async def of_files(self, files: Mapping[str, str], offered: Collection[str]) -> Base:
        """Check files, given as path to digest; `offered` are all that could have been given.

        Raises:
            InvalidModel: they do not make a model.
        """
        if gguf := await self._gguf_files(files):
            return await self._of_gguf(gguf, offered)
        kinds = choose_files(files)
        chosen = {path: digest for path, digest in files.items() if path in kinds}
        sizes = await self._claim(chosen)
        layers = tuple(
            Layer(media_type=kinds[path], digest=digest, size=sizes[digest], name=path)
            for path, digest in chosen.items()
        )
        served = _served_files(layers)
        metadata = await read_metadata(self._contents, served)
        await check_documents(self._contents, served)
        check_layout(metadata)
        left_out = tuple(path for path in offered if path not in kinds)
        return Base(metadata.summary(), layers, left_out)

    async def of_model(self, name: str) -> Base:
        """Take over a model of this store.

        Raises:
            InvalidModel: it is incomplete.
            ModelNotFound: it is not stored.
        """
        stored = await self._catalog.find(parse_name(name))
        if stored is None:
            raise ModelNotFound(f"model '{name}' not found")
        manifest = parse_manifest(stored.content)
        # Nothing is retained yet: what the new model replaces may go with the old one.
        if missing := await self._blobs.missing(manifest.digests):
            text = f"blob {min(missing)} is not stored"
            raise InvalidModel(f"model '{name}' is incomplete: {text}")
        parent = str(stored.name)
        return Base(
            await self._contents.config(manifest.config.digest),
            tuple(layer.model_copy(update={"parent": parent}) for layer in manifest.layers),
        )

    async def capabilities_of_files(self, base: Base) -> tuple[str, ...]:
        """Tell what the files alone can do, without a Go template; empty: unknown."""
        if digests := model_digests(base.layers):
            return (await read_model(self._contents, digests)).capabilities
        if base.layer(media_types.WEIGHT_FILE) is None:
            return ()
        return (await read_metadata(self._contents, _served_files(base.layers))).capabilities

    async def _of_gguf(self, files: Mapping[str, str], offered: Collection[str]) -> Base:
        sizes = await self._claim(files)
        layers = await arrange_layers(self._contents, files, sizes)
        model = await read_model(self._contents, model_digests(layers))
        about = ("parsing GGUF",) * len(layers)
        if model.chat_template:
            about += ("using autodetected template tokenizer.chat_template",)
        left_out = tuple(path for path in offered if path not in files)
        return Base(model.summary(), layers, left_out, about)

    async def _gguf_files(self, files: Mapping[str, str]) -> dict[str, str]:
        """Find GGUF files under any name, where there are no others to make a model of."""
        candidates = {path: files[path] for path in gguf_candidates(files)}
        await self._claim(candidates)
        found: dict[str, str] = {}
        for path, digest in candidates.items():
            if is_gguf(await self._blobs.read(digest, length=len(MAGIC))):
                found[path] = digest
            elif path.lower().endswith(".gguf"):
                raise InvalidModel(f"{path}: {NOT_GGUF}")
        return found

    async def _claim(self, files: Mapping[str, str]) -> dict[str, int]:
        """Keep uploaded blobs from collection while we look at them; give their sizes."""
        await self._blobs.retain(set(files.values()))
        sizes = await self._blobs.sizes(files.values())
        for path, digest in files.items():
            if digest not in sizes:
                raise InvalidModel(f'file "{path}": blob {digest} is not stored')
        return sizes


def _served_files(layers: Collection[Layer]) -> dict[str, str]:
    return {
        layer.name: layer.digest for layer in layers if layer.media_type in media_types.SERVED_FILES
    }
