"""Making models: from uploaded files, or from another model of this store."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from common.errors import InvalidModel, InvalidRequest, ModelNotFound
from common.names import ModelName
from protos.paddock.v1 import generation_pb2, registry_pb2
from services.registry import media_types
from services.registry.blob_client import BlobClient
from services.registry.catalog import Catalog
from services.registry.contents import Contents
from services.registry.manifest import Descriptor, Layer, Manifest, parse_manifest
from services.registry.messages import check_messages, encode_messages
from services.registry.metadata import check_documents, read_metadata
from services.registry.model_config import ModelConfig
from services.registry.model_files import check_files, choose_files
from services.registry.parameters import parse_parameters
from services.registry.references import parse_name, parse_new_name


@dataclass(frozen=True)
class _Request:
    """A request whose fields are all known to be good."""

    name: ModelName
    base: str
    files: Mapping[str, str]
    parameters: Mapping[str, Any]
    system: str | None
    messages: tuple[generation_pb2.Message, ...]
    licenses: tuple[str, ...]


@dataclass(frozen=True)
class _Base:
    """What the new model starts from."""

    config: ModelConfig
    layers: tuple[Layer, ...]
    left_out: tuple[str, ...] = ()


class Creator:
    """Makes models; nothing can be seen of one before it is complete."""

    def __init__(self, blobs: BlobClient, contents: Contents, catalog: Catalog) -> None:
        self._blobs = blobs
        self._contents = contents
        self._catalog = catalog

    async def create(
        self, message: registry_pb2.CreateRequest
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Make a model and report each step; the last one is `success`.

        Nothing is reported before the model is known to be good, so that a bad one can
        still be answered with a status of its own.

        Raises:
            InvalidRequest: the request contradicts itself.
            InvalidModel: the files do not make a model.
            ModelNotFound: the model to start from is not stored.
            Unsupported: the files are of a kind that cannot be served yet.
        """
        request = _check_request(message)
        base = await (self._from_files(request) if request.files else self._from_model(request))
        changes = await self._changes(base, request)
        yield _progress("reading model metadata")
        for path in base.left_out:
            yield _progress(f"leaving out {path}, which is not used to serve the model")
        for layer in base.layers:
            if layer.media_type in (media_types.DOCUMENT_FILE, media_types.CODE_FILE):
                yield _progress(f"keeping {layer.name}, which is not used to serve the model")
            yield _progress(f"using existing layer {layer.digest}")
        layers = list(base.layers)
        for kind, content in changes:
            layers, status = await self._put(layers, kind, content)
            yield _progress(status)
        config, status = await self._write(media_types.CONFIG, base.config.encode())
        yield _progress(status)
        yield _progress("writing manifest")
        manifest = Manifest(config=Descriptor(**config), layers=tuple(layers))
        await self._catalog.save(request.name, manifest.encode())
        yield _progress("success")

    async def _from_files(self, request: _Request) -> _Base:
        kinds = choose_files(request.files)
        files = {path: digest for path, digest in request.files.items() if path in kinds}
        sizes = await self._claim(files)
        served = {
            path: digest
            for path, digest in files.items()
            if kinds[path] in media_types.SERVED_FILES
        }
        metadata = await read_metadata(self._contents, served)
        await check_documents(self._contents, served)
        layers = tuple(
            Layer(media_type=kinds[path], digest=digest, size=sizes[digest], name=path)
            for path, digest in files.items()
        )
        left_out = tuple(path for path in request.files if path not in kinds)
        return _Base(metadata.summary(), layers, left_out)

    async def _claim(self, files: Mapping[str, str]) -> dict[str, int]:
        """Keep uploaded blobs from collection while we look at them; give their sizes."""
        await self._blobs.retain(set(files.values()))
        sizes = await self._blobs.sizes(files.values())
        for path, digest in files.items():
            if digest not in sizes:
                raise InvalidModel(f'file "{path}": blob {digest} is not stored')
        return sizes

    async def _from_model(self, request: _Request) -> _Base:
        stored = await self._catalog.find(parse_name(request.base))
        if stored is None:
            raise ModelNotFound(f"model '{request.base}' not found")
        manifest = parse_manifest(stored.content)
        # Nothing is retained yet: what the new model replaces may go with the old one.
        if missing := await self._blobs.missing(manifest.digests):
            text = f"blob {min(missing)} is not stored"
            raise InvalidModel(f"model '{request.base}' is incomplete: {text}")
        parent = str(stored.name)
        return _Base(
            await self._contents.config(manifest.config.digest),
            tuple(layer.model_copy(update={"parent": parent}) for layer in manifest.layers),
        )

    async def _changes(self, base: _Base, request: _Request) -> list[tuple[str, bytes]]:
        """List the layers that the request adds or replaces; empty content removes one."""
        changes: list[tuple[str, bytes]] = []
        if request.system is not None:
            changes.append((media_types.SYSTEM, request.system.encode()))
        if request.parameters:
            current = [layer for layer in base.layers if layer.media_type == media_types.PARAMETERS]
            own = await self._contents.document(current[-1].digest) if current else {}
            merged = {**own, **request.parameters}
            changes.append((media_types.PARAMETERS, orjson.dumps(merged) if merged else b""))
        if request.messages:
            changes.append((media_types.MESSAGES, encode_messages(request.messages)))
        changes.extend((media_types.LICENSE, text.encode()) for text in request.licenses)
        return changes

    async def _put(self, layers: list[Layer], kind: str, content: bytes) -> tuple[list[Layer], str]:
        """Add a layer; one of its kind goes, except that licenses add up."""
        if kind != media_types.LICENSE:
            layers = [layer for layer in layers if layer.media_type != kind]
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


def _check_request(message: registry_pb2.CreateRequest) -> _Request:
    name = parse_new_name(message.model)
    parameters = parse_parameters(message.parameters_json)
    check_messages(message.messages)
    if message.files and getattr(message, "from"):
        raise InvalidRequest("specify either 'from' or 'files', not both")
    if not message.files and not getattr(message, "from"):
        raise InvalidRequest("neither 'from' or 'files' was specified")
    return _Request(
        name=name,
        base=getattr(message, "from"),
        files=check_files(message.files),
        parameters=parameters,
        system=message.system if message.HasField("system") else None,
        messages=tuple(message.messages),
        licenses=tuple(text for text in message.licenses if text),
    )


def _progress(status: str) -> registry_pb2.Progress:
    return registry_pb2.Progress(status=status)
