"""What the files of a stored model say, of whichever kind they are."""

from typing import Any

from services.registry import media_types
from services.registry.capabilities import (
    infer_ollama_capabilities,
    replace_template,
    without_images,
)
from services.registry.contents import Contents
from services.registry.gguf.layers import model_digests
from services.registry.gguf.model import GgufModel, read_model
from services.registry.gguf.model import read_model_info as read_gguf_info
from services.registry.gguf.stored import own_template, pools
from services.registry.manifest import Manifest
from services.registry.metadata import Metadata, read_metadata, read_model_info
from services.registry.model_config import ModelConfig


class ModelReader:
    """Reads models by their manifests.

    Every method raises `BlobNotFound` when a blob is not stored and `InvalidModel` when one
    is damaged.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    async def capabilities(self, manifest: Manifest, config: ModelConfig) -> tuple[str, ...]:
        """Read capabilities off the config blob, else infer them."""
        if manifest.of_type(media_types.GGUF):
            return await self._of_gguf(manifest, config)
        if config.capabilities or config.remote_host:
            return config.capabilities
        templates = manifest.of_type(*media_types.TEMPLATES)
        of_template = await self._template_capabilities(manifest)
        if metadata := await self.metadata(manifest):
            own = metadata.capabilities
            return replace_template(own, of_template) if templates else own
        return infer_ollama_capabilities(of_template, config.families, pools=False)

    async def _of_gguf(self, manifest: Manifest, config: ModelConfig) -> tuple[str, ...]:
        if config.capabilities:
            return without_images(config.capabilities)
        digests = model_digests(manifest.layers)
        templates = manifest.of_type(*media_types.TEMPLATES)
        of_template = await self._template_capabilities(manifest)
        if templates and not config.renderer:
            # A list of models is made of this: there is no need to read vocabularies.
            start = await self._contents.gguf_start(digests[0])
            return infer_ollama_capabilities(of_template, config.families, pools=pools(start))
        model = await read_model(self._contents, digests)
        if templates and not own_template(config, model):
            return replace_template(model.capabilities, of_template)
        return model.capabilities

    async def _template_capabilities(self, manifest: Manifest) -> frozenset[str]:
        templates = manifest.of_type(*media_types.TEMPLATES)
        if not templates:
            return frozenset()
        return await self._contents.template_capabilities(templates[-1].digest)

    async def gguf(self, manifest: Manifest) -> GgufModel | None:
        """Read what a GGUF model's files say; None: it is of another kind."""
        digests = model_digests(manifest.layers)
        return await read_model(self._contents, digests) if digests else None

    async def metadata(self, manifest: Manifest) -> Metadata | GgufModel | None:
        """Read what a model's files say, where they are of a kind that is read."""
        if gguf := await self.gguf(manifest):
            return gguf
        if manifest.of_type(media_types.WEIGHT_FILE):
            return await read_metadata(self._contents, _files(manifest))
        return None

    async def model_info(
        self,
        manifest: Manifest,
        config: ModelConfig,
        metadata: Metadata | GgufModel | None,
        verbose: bool,
    ) -> dict[str, Any]:
        """Give the `model_info` of Ollama's API; what is long is null unless verbose."""
        if isinstance(metadata, GgufModel):
            (first, *_) = model_digests(manifest.layers)
            count = metadata.parameter_count
            return await read_gguf_info(self._contents, first, count, verbose=verbose)
        if metadata:
            files = _files(manifest)
            return await read_model_info(self._contents, files, metadata, verbose=verbose)
        family = config.model_family
        lengths = {
            f"{family}.context_length": config.context_length,
            f"{family}.embedding_length": config.embedding_length,
        }
        known = {name: length for name, length in lengths.items() if length}
        return {"general.architecture": family, **known} if family else {}

    async def projector_info(self, manifest: Manifest, verbose: bool) -> dict[str, Any]:
        """Give the `projector_info` of Ollama's API; empty when there is no projector."""
        projectors = manifest.of_type(media_types.PROJECTOR)
        if not projectors:
            return {}
        count = (await self._contents.gguf(projectors[0].digest)).parameter_count
        return await read_gguf_info(self._contents, projectors[0].digest, count, verbose=verbose)


def _files(manifest: Manifest) -> dict[str, str]:
    return {file.name: file.digest for file in manifest.files}
