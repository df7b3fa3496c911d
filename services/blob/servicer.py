"""`BlobService` over a store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC
from typing import Any

import grpc

from common.blob_messages import METHOD, SERVICE, decode
from common.digests import parse_digest
from common.errors import BlobNotFound, InvalidRequest, ModelNotFound, TooLarge
from common.names import ModelName
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc
from services.blob.collection import Collected, Collector
from services.blob.manifest_pages import ManifestPages, stored_manifest, timestamp
from services.blob.receiving import Part, begin_upload, read_data, read_header, write_all
from services.blob.small_blobs import LARGEST, MOST, read_many
from store.interface import Blob, Manifest, Store

_Context = grpc.aio.ServicerContext[Any, Any]

MAX_MANIFEST_SIZE = 4 * 1024 * 1024
"""Bytes of the largest manifest that is accepted."""


def add_to_server(servicer: "BlobServicer", server: grpc.aio.Server) -> None:
    """Have a server serve it, and take the data of a Write without copying it."""
    blob_pb2_grpc.add_BlobServiceServicer_to_server(servicer, server)
    write = grpc.stream_unary_rpc_method_handler(
        servicer.Write, decode, blob_pb2.WriteResponse.SerializeToString
    )
    server.add_registered_method_handlers(SERVICE, {METHOD: write})


class BlobServicer(blob_pb2_grpc.BlobServiceServicer):
    """Serves a store; all that blocks runs on the event loop's threads."""

    def __init__(self, store: Store, collector: Collector) -> None:
        self._store = store
        self._collector = collector
        self._manifest_pages = ManifestPages(store)

    async def Stat(self, request: blob_pb2.StatRequest, context: _Context) -> blob_pb2.StatResponse:
        """Give a blob's size and age."""
        blob = await asyncio.to_thread(self._store.stat, parse_digest(request.digest))
        return blob_pb2.StatResponse(size=blob.size, modified_at=timestamp(blob.modified_at))

    async def Write(
        self, request_iterator: AsyncIterator[Part], context: _Context
    ) -> blob_pb2.WriteResponse:
        """Store a blob; one that is stored already is retained, its body is not awaited."""
        header = await read_header(request_iterator)
        digest = parse_digest(header.digest) if header.digest else None
        if digest and (blob := await self._retain(digest)):
            return blob_pb2.WriteResponse(digest=digest, size=blob.size, existed=True)
        async with begin_upload(self._store, header) as upload:
            await write_all(read_data(request_iterator), upload)
            stored_as, size = await asyncio.to_thread(upload.commit)
        return blob_pb2.WriteResponse(digest=stored_as, size=size)

    async def WriteStatus(
        self, request: blob_pb2.WriteStatusRequest, context: _Context
    ) -> blob_pb2.WriteStatusResponse:
        """Say how far a kept upload has come, or that the blob is stored."""
        return await asyncio.to_thread(self._write_status, request)

    async def Read(
        self, request: blob_pb2.ReadRequest, context: _Context
    ) -> AsyncIterator[blob_pb2.ReadResponse]:
        """Stream a blob or a range of it."""
        length = request.length if request.HasField("length") else None
        digest = parse_digest(request.digest)
        chunks = await asyncio.to_thread(self._store.read, digest, request.offset, length)
        while chunk := await asyncio.to_thread(next, chunks, None):
            yield blob_pb2.ReadResponse(data=chunk)

    async def ReadMany(
        self, request: blob_pb2.ReadManyRequest, context: _Context
    ) -> AsyncIterator[blob_pb2.ReadManyResponse]:
        """Give small blobs."""
        if len(request.digests) > MOST or request.largest > LARGEST:
            raise InvalidRequest(f"at most {MOST} blobs of {LARGEST} bytes are read at once")
        digests = [parse_digest(digest) for digest in request.digests]
        for blobs in await read_many(self._store, digests, request.largest):
            yield blobs

    async def Locate(
        self, request: blob_pb2.LocateRequest, context: _Context
    ) -> blob_pb2.LocateResponse:
        """Say where a worker finds a blob."""
        location = await asyncio.to_thread(self._store.locate, parse_digest(request.digest))
        response = blob_pb2.LocateResponse(size=location.size)
        if location.url is not None:
            response.url = location.url
        else:
            response.path = str(location.path)
        if location.expires_at is not None:
            response.expires_at.CopyFrom(timestamp(location.expires_at))
        return response

    async def Retain(
        self, request: blob_pb2.RetainRequest, context: _Context
    ) -> blob_pb2.RetainResponse:
        """Make blobs young, and name those that are not stored."""
        digests = [parse_digest(digest) for digest in request.digests]
        blobs = await asyncio.gather(*(self._retain(digest) for digest in digests))
        missing = [digest for digest, blob in zip(digests, blobs, strict=True) if not blob]
        return blob_pb2.RetainResponse(missing=missing)

    async def Collect(
        self, request: blob_pb2.CollectRequest, context: _Context
    ) -> blob_pb2.CollectResponse:
        """Remove garbage among some blobs, or among all."""
        collected = await self._collect(request)
        return blob_pb2.CollectResponse(
            blobs=collected.blobs, bytes=collected.size, uploads=collected.uploads
        )

    async def ReadManifest(
        self, request: blob_pb2.ReadManifestRequest, context: _Context
    ) -> blob_pb2.StoredManifest:
        """Give a manifest."""
        name = ModelName.from_proto(request.name)
        read = self._read_like if request.any_case else self._store.read_manifest
        return stored_manifest(await asyncio.to_thread(read, name))

    async def WriteManifest(
        self, request: blob_pb2.WriteManifestRequest, context: _Context
    ) -> blob_pb2.StoredManifest:
        """Store a manifest. One that does not say what it names would stop collection."""
        name = ModelName.from_proto(request.name)
        if len(request.content) > MAX_MANIFEST_SIZE:
            raise TooLarge(f"a manifest has at most {MAX_MANIFEST_SIZE} bytes")
        write = self._collector.write_manifest
        return stored_manifest(await asyncio.to_thread(write, name, request.content))

    async def DeleteManifest(
        self, request: blob_pb2.DeleteManifestRequest, context: _Context
    ) -> blob_pb2.DeleteManifestResponse:
        """Delete a manifest; its blobs stay until they are collected."""
        name = ModelName.from_proto(request.name)
        await asyncio.to_thread(self._store.delete_manifest, name)
        return blob_pb2.DeleteManifestResponse()

    async def ListManifests(
        self, request: blob_pb2.ListManifestsRequest, context: _Context
    ) -> AsyncIterator[blob_pb2.ListManifestsResponse]:
        """Stream all manifests."""
        pages = self._manifest_pages.make()
        while page := await asyncio.to_thread(next, pages, None):
            yield page

    def _read_like(self, name: ModelName) -> Manifest:
        """Read the manifest of a name, or else of the first one that is like it."""
        with suppress(ModelNotFound):
            return self._store.read_manifest(name)
        for alike in self._store.names_like(name):
            with suppress(ModelNotFound):
                return self._store.read_manifest(alike)
        raise ModelNotFound(f"model '{name}' not found")

    def _write_status(self, request: blob_pb2.WriteStatusRequest) -> blob_pb2.WriteStatusResponse:
        digest = parse_digest(request.digest)
        try:
            stored = self._store.stat(digest)
        except BlobNotFound:
            status = self._store.upload_status(digest, request.size)
            return blob_pb2.WriteStatusResponse(
                committed_size=status.committed_size, busy=status.busy
            )
        return blob_pb2.WriteStatusResponse(committed_size=stored.size, complete=True)

    async def _retain(self, digest: str) -> Blob | None:
        try:
            return await asyncio.to_thread(self._store.retain, digest)
        except BlobNotFound:
            return None

    async def _collect(self, request: blob_pb2.CollectRequest) -> Collected:
        if not request.digests:
            return await asyncio.to_thread(self._collector.collect_all)
        if not request.HasField("released_at"):
            raise InvalidRequest("digests are collected with the time of their release")
        digests = [parse_digest(digest) for digest in request.digests]
        released_at = request.released_at.ToDatetime(UTC)
        return await asyncio.to_thread(self._collector.collect_released, digests, released_at)
