"""Making models: from files, from another model of this store, or by a Modelfile."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing
from typing import Any

import orjson

from common.errors import InvalidRequest
from common.names import ModelName
from protos.paddock.v1 import registry_pb2
from services.registry import media_types
from services.registry.adapters.layers import Adapters, replace_adapter
from services.registry.base_model import Base, BaseModels
from services.registry.blob_client import BlobClient
from services.registry.capabilities import replace_template
from services.registry.catalog import Catalog
from services.registry.contents import MAX_PARAMETERS, Contents
from services.registry.creation_request import CreationRequest, Template, check_request
from services.registry.info import apply_info
from services.registry.legacy import is_legacy, read_modelfile
from services.registry.manifest import Descriptor, Layer, Manifest
from services.registry.messages import encode_messages
from services.registry.model_config import ModelConfig
from services.registry.prerequisites import Prerequisites
from services.registry.quantize.quantizer import Quantizer
from services.registry.remote.pull import Puller
from services.registry.retention import retaining
from services.registry.server_files import ServerFiles


class Creator:
    """Makes models; nothing can be seen of one before it is complete."""

    def __init__(
        self,
        blobs: BlobClient,
        contents: Contents,
        catalog: Catalog,
        server_files: ServerFiles,
        puller: Puller,
    ) -> None:
        self._blobs = blobs
        self._contents = contents
        self._catalog = catalog
        self._bases = BaseModels(blobs, contents, catalog)
        self._adapters = Adapters(blobs, contents, self._bases)
        self._quantizer = Quantizer(blobs, contents)
        self._server_files = server_files
        self._puller = puller

    async def create(
        self, message: registry_pb2.CreateRequest
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Make a model and report each step; the last one is `success`.

        Unless files of this machine have to be stored first, or the base has to be pulled,
        nothing is reported before the model is known to be good: a bad one can still be
        answered with a status of its own.

        Raises:
            InvalidRequest: the request contradicts itself.
            InvalidModel: the files do not make a model.
            ModelNotFound: the model to start from is not stored and cannot be pulled.
            Unsupported: the files are of a kind that cannot be served yet.
        """
        request = await asyncio.to_thread(self._check, message)
        sources = Prerequisites(self._blobs, self._catalog, self._puller, request)
        async with aclosing(sources.run()) as steps:
            async for progress in steps:
                yield progress
        base = await self._base(request, sources)
        adapter = await self._adapters.check(base, sources.adapters)
        quantization = await self._quantizer.plan(base, request.quantize)
        config = await self._config(quantization.base, request)
        changes = await self._changes(quantization.base, request)
        async with (
            retaining(self._blobs, lambda: [layer.digest for layer in adapter]),
            aclosing(quantization.run()) as steps,
        ):
            async for progress in steps:
                yield progress
        base = replace_adapter(quantization.base, adapter)
        for line in _account(base, quantization.made):
            yield _progress(line)
        async with aclosing(self._store(request.name, base, config, changes)) as lines:
            async for line in lines:
                yield _progress(line)

    def _check(self, message: registry_pb2.CreateRequest) -> CreationRequest:
        if is_legacy(message):
            return check_request(*read_modelfile(message, self._server_files))
        return check_request(message, {}, {})

    async def _base(self, request: CreationRequest, sources: Prerequisites) -> Base:
        if request.base:
            return await self._bases.of_model(request.base)
        return await self._bases.of_files(sources.files, request.files or request.local_files)

    async def _config(self, base: Base, request: CreationRequest) -> ModelConfig:
        config = base.config.model_copy(update=request.fields)
        if request.template:
            capabilities = await self._capabilities(base, request.template)
            config = config.model_copy(update={"capabilities": capabilities})
        return apply_info(config, request.info)

    async def _capabilities(self, base: Base, template: Template) -> tuple[str, ...]:
        if template.text:
            return replace_template(base.config.capabilities, template.capabilities)
        return await self._bases.capabilities_of_files(base)

    async def _changes(self, base: Base, request: CreationRequest) -> list[tuple[str, bytes]]:
        """List the layers that the request adds or replaces; empty content removes one."""
        changes: list[tuple[str, bytes]] = []
        if request.template:
            changes.append((media_types.TEMPLATE, request.template.text.encode()))
        if request.system is not None:
            changes.append((media_types.SYSTEM, request.system.encode()))
        if request.parameters:
            current = base.layer(media_types.PARAMETERS)
            own = await self._contents.parameters(current.digest) if current else {}
            content = orjson.dumps({**own, **request.parameters})
            if len(content) > MAX_PARAMETERS:
                raise InvalidRequest(f"parameters can have {MAX_PARAMETERS} bytes")
            changes.append((media_types.PARAMETERS, content))
        if request.messages:
            changes.append((media_types.MESSAGES, encode_messages(request.messages)))
        changes.extend((media_types.LICENSE, text.encode()) for text in request.licenses)
        return changes

    async def _store(
        self, name: ModelName, base: Base, config: ModelConfig, changes: list[tuple[str, bytes]]
    ) -> AsyncGenerator[str, None]:
        """Write what is new, the manifest last; give a line for each step."""
        layers = list(base.layers)
        for kind, content in changes:
            layers, status = await self._put(layers, kind, content)
            yield status
        descriptor, status = await self._write(media_types.CONFIG, config.encode())
        yield status
        yield "writing manifest"
        manifest = Manifest(config=Descriptor(**descriptor), layers=tuple(layers))
        await self._catalog.save(name, manifest.encode())
        yield "success"

    async def _put(self, layers: list[Layer], kind: str, content: bytes) -> tuple[list[Layer], str]:
        """Add a layer; one of its kind goes, except that licenses add up."""
        if kind != media_types.LICENSE:
            kinds = media_types.TEMPLATES if kind in media_types.TEMPLATES else (kind,)
            layers = [layer for layer in layers if layer.media_type not in kinds]
        if not content:
            return layers, f"removing {kind.rpartition('.')[2]} layer"
        fields, status = await self._write(kind, content)
        layer = Layer(**fields)
        same = any((old.media_type, old.digest) == (kind, layer.digest) for old in layers)
        return layers if same else [*layers, layer], status

    async def _write(self, kind: str, content: bytes) -> tuple[dict[str, Any], str]:
        blob = await self._blobs.write(content)
        verb = "using existing" if blob.existed else "creating new"
        fields = {"media_type": kind, "digest": blob.digest, "size": blob.size}
        return fields, f"{verb} layer {blob.digest}"


def _account(base: Base, made: Collection[str]) -> Iterator[str]:
    """Say what a model is made from, besides the layers that were made for it."""
    yield from base.about
    if base.config.model_format == "safetensors" and not base.config.capabilities:
        yield "this model's architecture is for neither text generation nor embeddings"
    for path in base.left_out:
        yield f"leaving out {path}, which is not used to serve the model"
    for layer in base.layers:
        if layer.media_type in (media_types.DOCUMENT_FILE, media_types.CODE_FILE):
            yield f"keeping {layer.name}, which is not used to serve the model"
        if layer.media_type == media_types.PROJECTOR:
            yield "keeping the projector, which is not used to serve the model"
        if layer.digest not in made:
            yield f"using existing layer {layer.digest}"


def _progress(status: str) -> registry_pb2.Progress:
    return registry_pb2.Progress(status=status)
