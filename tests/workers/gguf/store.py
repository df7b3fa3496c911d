"""A Blob service that also takes blobs and manifests, for what workers store."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from common.errors import BlobNotFound, ModelNotFound, PaddockError
from common.names import ModelName
from protos.paddock.v1 import blob_pb2
from tests.workers.blobs import FolderBlobs

Context = grpc.aio.ServicerContext[Any, Any]


class WritableBlobs(FolderBlobs):
    """Keeps what is written in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.manifests: dict[str, bytes] = {}
        self.refusal: PaddockError | None = None
        self._folder = folder
        folder.mkdir()

    async def Write(
        self, request_iterator: AsyncIterator[blob_pb2.WriteRequest], context: Context
    ) -> blob_pb2.WriteResponse:
        if self.refusal:
            raise self.refusal
        content = b"".join([request.data async for request in request_iterator])
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.paths[digest] = self._folder / digest.replace(":", "-")
        self.paths[digest].write_bytes(content)
        return blob_pb2.WriteResponse(digest=digest, size=len(content))

    async def Retain(
        self, request: blob_pb2.RetainRequest, context: Context
    ) -> blob_pb2.RetainResponse:
        missing = [digest for digest in request.digests if digest not in self.paths]
        return blob_pb2.RetainResponse(missing=missing)

    async def ReadManifest(
        self, request: blob_pb2.ReadManifestRequest, context: Context
    ) -> blob_pb2.StoredManifest:
        content = self.manifests.get(ModelName.from_proto(request.name).path)
        if content is None:
            raise ModelNotFound("no such manifest")
        return blob_pb2.StoredManifest(name=request.name, content=content)

    async def WriteManifest(
        self, request: blob_pb2.WriteManifestRequest, context: Context
    ) -> blob_pb2.StoredManifest:
        self.manifests[ModelName.from_proto(request.name).path] = request.content
        return blob_pb2.StoredManifest(name=request.name, content=request.content)

    def lose(self, suffix: str) -> None:
        """Lose the blobs of the manifests' files whose paths end so."""
        for content in self.manifests.values():
            for layer in json.loads(content)["layers"]:
                if layer["name"].endswith(suffix) and not self.paths.pop(layer["digest"], None):
                    raise BlobNotFound(layer["digest"])
