"""Stored models as the API shows them and as a router serves them."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from common.errors import InvalidModel, InvalidRequest, NotFound, Unsupported
from common.options import parse_options
from protos.paddock.v1 import model_pb2, registry_pb2
from services.registry import media_types
from services.registry.blob_client import StoredManifest
from services.registry.capabilities import infer_ollama_capabilities, replace_template
from services.registry.contents import Contents
from services.registry.customization import read_customization
from services.registry.errors import in_model
from services.registry.manifest import (
    Manifest,
    manifest_digest,
    parse_manifest,
    weights_digest,
)
from services.registry.metadata import Metadata, read_metadata, read_model_info
from services.registry.model_config import ModelConfig
from services.registry.model_files import check_path
from services.registry.modelfile import show_modelfile
from services.registry.parameters import show_parameters

logger = logging.getLogger(__name__)


class Models:
    """Describes stored models from their manifests and blobs."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    async def summarize(self, stored: list[StoredManifest]) -> list[registry_pb2.ModelSummary]:
        """Summarise models, newest first; a damaged manifest is logged and left out."""
        found = await asyncio.gather(*(self._listed(manifest) for manifest in stored))
        summaries = [summary for summary in found if summary]
        summaries.sort(key=lambda summary: summary.name)
        summaries.sort(key=lambda summary: summary.modified_at.ToNanoseconds(), reverse=True)
        return summaries

    async def show(
        self,
        stored: StoredManifest,
        *,
        verbose: bool,
        system: str,
        parameters: Mapping[str, Any],
    ) -> registry_pb2.ShowResponse:
        """Describe a model in full.

        Args:
            stored: the model.
            verbose: whether long lists are given, too.
            system: shown instead of the model's own, where not empty.
            parameters: laid over the model's own in the Modelfile.

        Raises:
            InvalidModel: it is damaged.
        """
        with in_model(str(stored.name)):
            manifest = parse_manifest(stored.content)
            config = await self._contents.config(manifest.config.digest)
            custom = await read_customization(self._contents, manifest)
            metadata = await self._metadata(manifest)
            info = await self._model_info(manifest, config, metadata, verbose)
            summary = await self._summary(stored, manifest, config)
        if system:
            custom = replace(custom, system=system)
        return registry_pb2.ShowResponse(
            summary=summary,
            modelfile=show_modelfile(str(stored.name), config, custom, parameters),
            parameters=show_parameters(custom.parameters),
            template=custom.template or (metadata.chat_template if metadata else ""),
            system=custom.system,
            licenses=custom.licenses,
            messages=custom.messages,
            model_info_json=orjson.dumps(info).decode(),
            tensors=_tensors(metadata) if metadata else [],
            renderer=config.renderer,
            parser=config.parser,
            requires=config.requires,
        )

    async def resolve(self, stored: StoredManifest) -> registry_pb2.ResolvedModel:
        """Say what a router and a worker need to serve a model.

        Raises:
            InvalidModel: it is damaged.
            Unsupported: it is of a kind that no worker serves.
        """
        with in_model(str(stored.name)):
            manifest = parse_manifest(stored.content)
            config = await self._contents.config(manifest.config.digest)
            _check_servable(str(stored.name), manifest, config)
            custom = await read_customization(self._contents, manifest)
            capabilities = await self._capabilities(manifest, config)
        spec = model_pb2.ModelSpec(
            name=str(stored.name),
            digest=manifest_digest(stored.content),
            weights=weights_digest(manifest.files),
            files=[
                model_pb2.ModelFile(path=file.name, digest=file.digest, size=file.size)
                for file in manifest.files
            ],
            capabilities=capabilities,
            details=config.details(manifest.parent),
            parser=config.parser,
        )
        return registry_pb2.ResolvedModel(
            spec=spec,
            template=custom.template,
            system=custom.system,
            messages=custom.messages,
            parameters=parse_options(custom.parameters),
        )

    async def _listed(self, stored: StoredManifest) -> registry_pb2.ModelSummary | None:
        try:
            manifest = parse_manifest(stored.content)
        except InvalidModel as error:
            logger.warning("%s is left out of the list: %s", stored.name, error.message)
            return None
        try:
            config = await self._contents.config(manifest.config.digest)
            return await self._summary(stored, manifest, config)
        except (InvalidModel, NotFound) as error:
            logger.warning("%s is listed without details: %s", stored.name, error.message)
            return _bare_summary(stored, manifest, ModelConfig())

    async def _summary(
        self, stored: StoredManifest, manifest: Manifest, config: ModelConfig
    ) -> registry_pb2.ModelSummary:
        summary = _bare_summary(stored, manifest, config)
        summary.capabilities.extend(await self._capabilities(manifest, config))
        return summary

    async def _capabilities(self, manifest: Manifest, config: ModelConfig) -> tuple[str, ...]:
        """Read capabilities off the config blob, else infer them."""
        if config.capabilities or config.remote_host:
            return config.capabilities
        of_template: frozenset[str] = frozenset()
        templates = manifest.of_type(media_types.TEMPLATE, media_types.PROMPT)
        if templates:
            of_template = await self._contents.template_capabilities(templates[-1].digest)
        if metadata := await self._metadata(manifest):
            own = metadata.capabilities
            return replace_template(own, of_template) if templates else own
        families = {config.model_family, *config.model_families}
        has_projector = bool(manifest.of_type(media_types.PROJECTOR))
        return infer_ollama_capabilities(of_template, families, has_projector)

    async def _metadata(self, manifest: Manifest) -> Metadata | None:
        """Read what a Hugging Face model's files say; other kinds of model have none."""
        if not manifest.of_type(media_types.WEIGHT_FILE):
            return None
        return await read_metadata(self._contents, _files(manifest))

    async def _model_info(
        self, manifest: Manifest, config: ModelConfig, metadata: Metadata | None, verbose: bool
    ) -> dict[str, Any]:
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


def _files(manifest: Manifest) -> dict[str, str]:
    return {file.name: file.digest for file in manifest.files}


def _bare_summary(
    stored: StoredManifest, manifest: Manifest, config: ModelConfig
) -> registry_pb2.ModelSummary:
    return registry_pb2.ModelSummary(
        name=str(stored.name),
        digest=manifest_digest(stored.content),
        size=manifest.size,
        modified_at=stored.modified_at,
        details=config.details(manifest.parent),
    )


def _check_servable(name: str, manifest: Manifest, config: ModelConfig) -> None:
    if config.remote_host:
        raise Unsupported(f"{name} runs on another server, which is not supported")
    if manifest.of_type(media_types.GGUF):
        raise Unsupported(f"{name} is a GGUF model; serving GGUF is not supported yet")
    if manifest.of_type(media_types.TENSOR):
        raise Unsupported(f"{name} is stored tensor by tensor, which is not supported")
    if not manifest.of_type(media_types.WEIGHT_FILE):
        raise Unsupported(f"{name} has no weights that an engine can read")
    for file in manifest.files:
        _check_stored_path(file.name)


def _check_stored_path(path: str) -> None:
    """Trust no manifest: anybody may have written it into the store."""
    try:
        check_path(path)
    except InvalidRequest as error:
        raise InvalidModel(f"{path!r}: {error.message}") from error


def _tensors(metadata: Metadata) -> list[registry_pb2.Tensor]:
    return [
        registry_pb2.Tensor(name=tensor.name, type=tensor.dtype, shape=tensor.shape)
        for tensor in metadata.tensors
    ]
