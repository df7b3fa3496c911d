"""A Blob service over a folder of files, as a worker sees it."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc

from common.digests import hex_digits
from common.errors import BlobNotFound, PaddockError
from common.server import Server
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc, model_pb2
from workers.cache import FileCache
from workers.cache_entry import HeldFolder
from workers.cache_filling import Progress

Context = grpc.aio.ServicerContext[Any, Any]


class FolderBlobs(blob_pb2_grpc.BlobServiceServicer):
    """Knows the files added to it; tells their paths or URLs, or only streams them."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self.visible = True
        self.damaged = False
        self.reads = 0
        self.locates = 0
        self.failure: PaddockError | None = None
        self.urls: str | None = None
        """Where a server gives the blobs by their digests; each URL has a number of its own."""
        self.url_lifetime: timedelta | None = None

    def add(self, path: Path, name: str) -> model_pb2.ModelFile:
        digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        self.paths[digest] = path
        return model_pb2.ModelFile(path=name, digest=digest, size=path.stat().st_size)

    def add_model(
        self, folder: Path, name: str = "test:latest", *capabilities: str
    ) -> model_pb2.ModelSpec:
        """Add a model's folder and give its spec."""
        files = [
            self.add(path, path.relative_to(folder).as_posix())
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        spec = model_pb2.ModelSpec(
            name=name, files=files, capabilities=capabilities or ("completion",)
        )
        spec.weights = hashlib.sha256(b"".join(file.digest.encode() for file in files)).hexdigest()
        spec.digest = hashlib.sha256(name.encode()).hexdigest()
        return spec

    async def Stat(self, request: blob_pb2.StatRequest, context: Context) -> blob_pb2.StatResponse:
        if self.failure:
            raise self.failure
        return blob_pb2.StatResponse(size=self._path(request.digest).stat().st_size)

    async def Locate(
        self, request: blob_pb2.LocateRequest, context: Context
    ) -> blob_pb2.LocateResponse:
        self.locates += 1
        path = self._path(request.digest)
        if self.urls:
            return self._url(request.digest, path.stat().st_size)
        shown = path if self.visible else Path("/nowhere") / hex_digits(request.digest)
        return blob_pb2.LocateResponse(size=path.stat().st_size, path=str(shown))

    async def Read(
        self, request: blob_pb2.ReadRequest, context: Context
    ) -> AsyncIterator[blob_pb2.ReadResponse]:
        self.reads += 1
        if self.failure:
            raise self.failure
        content = self._path(request.digest).read_bytes()
        if self.damaged:
            content = content[:-1] + b"?"
        end = request.offset + request.length if request.HasField("length") else len(content)
        for start in range(request.offset, end, 1 << 16):
            yield blob_pb2.ReadResponse(data=content[start : min(start + (1 << 16), end)])

    def _url(self, digest: str, size: int) -> blob_pb2.LocateResponse:
        located = blob_pb2.LocateResponse(size=size, url=f"{self.urls}/{digest}?{self.locates}")
        if self.url_lifetime is not None:
            located.expires_at.FromDatetime(datetime.now(UTC) + self.url_lifetime)
        return located

    def _path(self, digest: str) -> Path:
        if digest not in self.paths:
            raise BlobNotFound(f'blob "{digest}" not found')
        return self.paths[digest]


async def fetch_model(
    cache: FileCache, spec: model_pb2.ModelSpec, progress: Progress = lambda _: None
) -> HeldFolder:
    """Fetch a model's files."""
    return await cache.fetch(spec.weights, spec.files, progress, name=spec.name)


async def serve_blobs(blobs: FolderBlobs, address: str) -> Server:
    server = Server()
    blob_pb2_grpc.add_BlobServiceServicer_to_server(blobs, server.grpc)
    await server.start(address, "paddock.v1.BlobService")
    await server.set_serving(True)
    return server
