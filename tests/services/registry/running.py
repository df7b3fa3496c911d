"""A real registry over a real Blob service and a folder, all in this process."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from common.rpc import open_channel, rpc_errors
from common.server import Server
from protos.paddock.v1 import blob_pb2_grpc, registry_pb2, registry_pb2_grpc
from services.blob.collection import Collector
from services.blob.servicer import BlobServicer
from services.registry.blob_client import BlobClient, StoredManifest, stored_manifest
from services.registry.remote.client import RemoteClient, RemoteSettings
from services.registry.remote.retries import RetryPolicy
from services.registry.servicer import RegistryServicer
from store.folder import FolderStore

# A registry that nobody can reach.
_NOWHERE = RemoteSettings(
    default_registry="http://127.0.0.1:1", manifest_retries=RetryPolicy(tries=1)
)


class CountingBlobServicer(BlobServicer):
    """The real service; remembers which blobs were read, and can lose some on demand."""

    def __init__(self, folder: Path, store: FolderStore | None = None) -> None:
        store = store or FolderStore(folder)
        super().__init__(store, Collector(store, timedelta(hours=1)))
        self._folder = folder
        self.reads: list[str] = []
        self.bytes_read = 0
        self.lose_after_write = ""

    async def Read(self, request, context):  # type: ignore[no-untyped-def]
        self.reads.append(request.digest)
        async for response in super().Read(request, context):
            self.bytes_read += len(response.data)
            yield response

    async def ReadMany(self, request, context):  # type: ignore[no-untyped-def]
        self.reads.extend(request.digests)
        async for response in super().ReadMany(request, context):
            self.bytes_read += sum(len(blob.content) for blob in response.blobs)
            yield response

    async def WriteManifest(self, request, context):  # type: ignore[no-untyped-def]
        response = await super().WriteManifest(request, context)
        if self.lose_after_write:
            blob_path(self._folder, self.lose_after_write).unlink()
            self.lose_after_write = ""
        return response


@dataclass
class Registry:
    """What a test uses: the stub, the bytes below it, and the store's folder."""

    stub: registry_pb2_grpc.RegistryServiceStub
    blobs: BlobClient
    blob_service: CountingBlobServicer
    folder: Path

    async def upload(self, files: Mapping[str, bytes]) -> dict[str, str]:
        return {path: (await self.blobs.write(content)).digest for path, content in files.items()}

    async def create(
        self, model: str, files: Mapping[str, bytes] | None = None, **fields: Any
    ) -> list[str]:
        """Upload files, given by their bytes, and make a model of them."""
        return await self.create_of(model, await self.upload(files or {}), **fields)

    async def create_from(self, model: str, base: str, **fields: Any) -> list[str]:
        """Make a model of another."""
        return await self.create_of(model, {}, **{"from": base, **fields})

    async def create_of(self, model: str, files: Mapping[str, str], **fields: Any) -> list[str]:
        """Make a model of files, given by their digests; give the lines of progress."""
        request = registry_pb2.CreateRequest(model=model, files=files, **fields)
        with rpc_errors():
            return [progress.status async for progress in self.stub.Create(request)]

    async def manifests(self) -> list[StoredManifest]:
        pages = self.blobs.manifest_pages()
        return [stored_manifest(each) async for page in pages for each in page.manifests]

    async def listed(self) -> list[registry_pb2.ModelSummary]:
        with rpc_errors():
            pages = self.stub.List(registry_pb2.ListRequest())
            return [model async for page in pages for model in page.models]

    async def names(self) -> list[str]:
        return [model.name for model in await self.listed()]

    async def show(self, model: str, **fields: Any) -> registry_pb2.ShowResponse:
        with rpc_errors():
            return await self.stub.Show(registry_pb2.ShowRequest(model=model, **fields))

    async def resolve(self, model: str) -> registry_pb2.ResolvedModel:
        with rpc_errors():
            return await self.stub.Resolve(registry_pb2.ResolveRequest(model=model))

    async def copy(self, source: str, destination: str) -> None:
        with rpc_errors():
            request = registry_pb2.CopyRequest(source=source, destination=destination)
            await self.stub.Copy(request)

    async def delete(self, model: str) -> None:
        with rpc_errors():
            await self.stub.Delete(registry_pb2.DeleteRequest(model=model))

    def stored_blobs(self) -> set[str]:
        folder = self.folder / "blobs"
        paths = folder.iterdir() if folder.exists() else ()
        return {path.name.replace("sha256-", "sha256:") for path in paths}

    def lose(self, digest: str) -> None:
        blob_path(self.folder, digest).unlink()


def blob_path(folder: Path, digest: str) -> Path:
    return folder / "blobs" / digest.replace(":", "-")


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@asynccontextmanager
async def running_registry(
    folder: Path,
    modelfiles: Path | None = None,
    remote: RemoteSettings | None = None,
    store: FolderStore | None = None,
    blob_service: CountingBlobServicer | None = None,
) -> AsyncIterator[Registry]:
    blob_server, registry_server = Server(), Server()
    blob_service = blob_service or CountingBlobServicer(folder, store)
    blob_pb2_grpc.add_BlobServiceServicer_to_server(blob_service, blob_server.grpc)
    blob_address = await blob_server.start("127.0.0.1:0")
    async with (
        open_channel(blob_address) as blob_channel,
        RemoteClient(remote or _NOWHERE) as client,
    ):
        blobs = BlobClient(blob_channel, blob_address)
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(
            RegistryServicer(blobs, client, modelfiles), registry_server.grpc
        )
        address = await registry_server.start("127.0.0.1:0")
        async with open_channel(address) as channel:
            yield Registry(
                registry_pb2_grpc.RegistryServiceStub(channel), blobs, blob_service, folder
            )
        await registry_server.stop(0)
    await blob_server.stop(0)
