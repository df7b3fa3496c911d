"""Stored models as the API shows them and as a router serves them."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson

from common.errors import InvalidModel, InvalidRequest, Unsupported
from common.options import parse_options
from protos.paddock.v1 import model_pb2, registry_pb2
from services.registry import media_types
from services.registry.adapters.layers import adapter_files
from services.registry.adapters.stored import StoredAdapters
from services.registry.blob_client import StoredManifest
from services.registry.contents import Contents
from services.registry.customization import read_customization
from services.registry.errors import in_model
from services.registry.gguf.layers import model_digests, served_files
from services.registry.gguf.model import GgufModel
from services.registry.gguf.stored import add_lengths, complete, own_template
from services.registry.manifest import (
    Layer,
    Manifest,
    manifest_digest,
    parse_manifest,
    weights_digest,
)
from services.registry.metadata import Metadata
from services.registry.model_config import ModelConfig
from services.registry.model_files import check_path
from services.registry.model_reader import ModelReader
from services.registry.modelfile import show_modelfile
from services.registry.parameters import show_parameters


class Models:
    """Describes stored models from their manifests and blobs."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._reader = ModelReader(contents)
        self._adapters = StoredAdapters(contents)

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
            metadata = await self._reader.metadata(manifest)
            gguf = metadata if isinstance(metadata, GgufModel) else None
            config = complete(config, gguf)
            info = await self._reader.model_info(manifest, config, metadata, verbose)
            projector = await self._reader.projector_info(manifest, verbose)
            summary = await self._summary(stored, manifest, config)
        if system:
            custom = replace(custom, system=system)
        own = metadata.chat_template if metadata else ""
        return registry_pb2.ShowResponse(
            summary=summary,
            modelfile=show_modelfile(
                str(stored.name), config, custom, parameters, _adapter_digests(manifest)
            ),
            parameters=show_parameters(custom.parameters),
            template=own if own_template(config, gguf) else custom.template or own,
            system=custom.system,
            licenses=custom.licenses,
            messages=custom.messages,
            model_info_json=orjson.dumps(info).decode(),
            tensors=_tensors(metadata) if metadata else [],
            renderer=config.renderer,
            parser=config.parser,
            requires=config.requires,
            projector_info_json=orjson.dumps(projector).decode() if projector else "",
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
            gguf = await self._reader.gguf(manifest)
            config = complete(config, gguf)
            capabilities = await self._reader.capabilities(manifest, config)
            files = _served_files(manifest)
            adapter = await self._adapter(manifest)
        spec = model_pb2.ModelSpec(
            name=str(stored.name),
            digest=manifest_digest(stored.content),
            weights=weights_digest(files),
            files=_model_files(files),
            capabilities=capabilities,
            details=config.details(manifest.parent),
            parser=config.parser,
            adapter=adapter,
        )
        return registry_pb2.ResolvedModel(
            spec=spec,
            template="" if own_template(config, gguf) else custom.template,
            system=custom.system,
            messages=custom.messages,
            parameters=parse_options(custom.parameters),
        )

    async def _adapter(self, manifest: Manifest) -> model_pb2.Adapter | None:
        files = adapter_files(manifest.layers)
        if not files:
            return None
        named = [layer.model_copy(update={"name": name}) for name, layer in files.items()]
        adapter = await self._adapters.read(manifest.layers)
        return model_pb2.Adapter(
            digest=weights_digest(named), files=_model_files(named), rank=adapter.rank
        )

    async def read_configs(self, models: Iterable[StoredManifest]) -> None:
        """Read at once what `summary` needs of up to 1,000 models."""
        digests = []
        for stored in models:
            with suppress(InvalidModel):
                digests.append(parse_manifest(stored.content).config.digest)
            await asyncio.sleep(0)  # parsing all of them would hold up what else goes on
        await self._contents.read_configs(digests)

    async def summary(self, stored: StoredManifest) -> registry_pb2.ModelSummary:
        """Describe a model as a list does.

        Raises:
            BlobNotFound: its config blob is not stored, or a file that tells what it can do.
            InvalidModel: one of these is damaged.
        """
        manifest = parse_manifest(stored.content)
        config = await self._contents.config(manifest.config.digest)
        return await self._summary(stored, manifest, config)

    async def _summary(
        self, stored: StoredManifest, manifest: Manifest, config: ModelConfig
    ) -> registry_pb2.ModelSummary:
        digests = model_digests(manifest.layers)
        if digests and not config.context_length:
            config = add_lengths(config, await self._contents.gguf_start(digests[0]))
        summary = bare_summary(stored, manifest, config)
        summary.capabilities.extend(await self._reader.capabilities(manifest, config))
        return summary


def _model_files(layers: Iterable[Layer]) -> list[model_pb2.ModelFile]:
    return [
        model_pb2.ModelFile(path=layer.name, digest=layer.digest, size=layer.size)
        for layer in layers
    ]


def bare_summary(
    stored: StoredManifest, manifest: Manifest, config: ModelConfig
) -> registry_pb2.ModelSummary:
    """Describe a model without what it can do."""
    return registry_pb2.ModelSummary(
        name=str(stored.name),
        digest=manifest_digest(stored.content),
        size=manifest.size,
        modified_at=stored.modified_at,
        details=config.details(manifest.parent),
    )


def _adapter_digests(manifest: Manifest) -> list[str]:
    return [layer.digest for layer in manifest.of_type(media_types.ADAPTER)]


def _check_servable(name: str, manifest: Manifest, config: ModelConfig) -> None:
    if config.remote_host:
        raise Unsupported(f"{name} runs on another server, which is not supported")
    if manifest.of_type(media_types.TENSOR):
        raise Unsupported(f"{name} is stored tensor by tensor, which is not supported")
    if not manifest.of_type(media_types.WEIGHT_FILE, media_types.GGUF):
        raise Unsupported(f"{name} has no weights that an engine can read")


def _served_files(manifest: Manifest) -> list[Layer]:
    if manifest.of_type(media_types.GGUF):
        return served_files(manifest)
    for file in manifest.files:
        _check_stored_path(file.name)
    return manifest.files


def _check_stored_path(path: str) -> None:
    """Trust no manifest: anybody may have written it into the store."""
    try:
        check_path(path)
    except InvalidRequest as error:
        raise InvalidModel(f"{path!r}: {error.message}") from error


def _tensors(metadata: Metadata | GgufModel) -> list[registry_pb2.Tensor]:
    return [
        registry_pb2.Tensor(name=tensor.name, type=tensor.dtype, shape=tensor.shape)
        for tensor in metadata.tensors
    ]
