"""RegistryService: names in, models out."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from common.durations import SECOND
from common.errors import InvalidName, InvalidRequest, ModelNotFound, NotFound
from common.names import ModelName
from protos.paddock.v1 import registry_pb2, registry_pb2_grpc
from services.registry.base_model import BaseModels
from services.registry.blob_client import BlobClient, StoredManifest
from services.registry.catalog import Catalog
from services.registry.contents import Contents
from services.registry.creation import Creator
from services.registry.model_list import ModelList
from services.registry.models import Models
from services.registry.parameters import parse_object
from services.registry.references import parse_name, parse_new_name
from services.registry.remote.client import RemoteClient
from services.registry.remote.hub import HuggingFace
from services.registry.remote.pull import Puller
from services.registry.remote.push import Pusher
from services.registry.server_files import ServerFiles


class RegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """Answers the RPCs of `registry.proto`, with Ollama's words where a name is wrong."""

    def __init__(
        self,
        blobs: BlobClient,
        remote: RemoteClient,
        modelfiles: Path | None = None,
        lease: float = 0.0,
    ) -> None:
        self._catalog = Catalog(blobs, lease)
        contents = Contents(blobs)
        self._models = Models(contents)
        self._list = ModelList(blobs, self._models)
        bases = BaseModels(blobs, contents, self._catalog)
        hub = HuggingFace(blobs, bases, self._catalog, remote)
        self._puller = Puller(blobs, contents, self._catalog, remote, hub)
        files = ServerFiles(modelfiles)
        self._creator = Creator(blobs, contents, self._catalog, files, self._puller)
        self._pusher = Pusher(blobs, self._catalog, remote)

    async def prepare(self) -> None:
        """Read ahead what most answers are made of."""
        await self._list.prepare()

    async def List(
        self, request: registry_pb2.ListRequest, context: Any
    ) -> AsyncIterator[registry_pb2.ListResponse]:
        async with aclosing(self._list.pages()) as pages:
            async for models in pages:
                yield registry_pb2.ListResponse(models=models)

    async def Show(
        self, request: registry_pb2.ShowRequest, context: Any
    ) -> registry_pb2.ShowResponse:
        if not request.model.strip():
            raise InvalidRequest("model is required")
        name = parse_name(request.model)
        stored = await self._find(name, f"model '{name}' not found")
        return await self._models.show(
            stored,
            verbose=request.verbose,
            system=request.system,
            parameters=parse_object("options", request.parameters_json),
        )

    async def Resolve(
        self, request: registry_pb2.ResolveRequest, context: Any
    ) -> registry_pb2.ResolvedModel:
        missing = f"model '{request.model}' not found"
        if not request.model.strip():
            raise ModelNotFound(missing)
        model = await self._models.resolve(await self._find(parse_name(request.model), missing))
        model.lease = int(self._catalog.lease * SECOND)
        return model

    async def Create(
        self, request: registry_pb2.CreateRequest, context: Any
    ) -> AsyncIterator[registry_pb2.Progress]:
        async with aclosing(self._creator.create(request)) as steps:
            async for progress in steps:
                yield progress

    async def Pull(
        self, request: registry_pb2.PullRequest, context: Any
    ) -> AsyncIterator[registry_pb2.Progress]:
        steps = self._puller.pull(request.model, insecure=request.insecure)
        async with aclosing(steps):
            async for progress in steps:
                yield progress

    async def Push(
        self, request: registry_pb2.PushRequest, context: Any
    ) -> AsyncIterator[registry_pb2.Progress]:
        steps = self._pusher.push(request.model, insecure=request.insecure)
        async with aclosing(steps):
            async for progress in steps:
                yield progress

    async def Copy(
        self, request: registry_pb2.CopyRequest, context: Any
    ) -> registry_pb2.CopyResponse:
        source = _parse_stored(request.source, f'source "{request.source}" is invalid')
        try:
            destination = parse_new_name(request.destination)
        except InvalidRequest as error:
            raise InvalidName(f'destination "{request.destination}" is invalid') from error
        stored = await self._find(source, f'model "{request.source}" not found')
        if destination.folded() != stored.name.folded():
            await self._catalog.save(destination, stored.content)
        return registry_pb2.CopyResponse()

    async def Delete(
        self, request: registry_pb2.DeleteRequest, context: Any
    ) -> registry_pb2.DeleteResponse:
        if not request.model.strip():
            raise InvalidRequest("model is required")
        name = _parse_stored(request.model, f'name "{request.model}" is invalid')
        missing = f"model '{request.model}' not found"
        stored = await self._find(name, missing)
        try:
            await self._catalog.remove(stored)
        except NotFound as error:
            raise ModelNotFound(missing) from error
        return registry_pb2.DeleteResponse()

    async def _find(self, name: ModelName, missing: str) -> StoredManifest:
        if stored := await self._catalog.find(name):
            return stored
        raise ModelNotFound(missing)


def _parse_stored(text: str, invalid: str) -> ModelName:
    """Read the name of a model to be managed, which may be one left by Ollama's cloud."""
    try:
        return parse_name(text)
    except ModelNotFound:
        return ModelName.parse(text)
    except InvalidRequest as error:
        raise InvalidName(invalid) from error
