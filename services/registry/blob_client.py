"""The registry's side of BlobService: whole blobs, ranges, manifests."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple, TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from common.blob_messages import WritePart, encode_data, write_method
from common.client_stream import ClientStream, send_all
from common.errors import BlobNotFound, Interrupted, NotFound
from common.names import ModelName
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc

_PIECE = 1024 * 1024
_CONCURRENT_CALLS = 16
_SMALL = 64 * 1024
_PAUSES = (0.3, 0.6, 1.2, 2.0)  # seconds


class StoredManifest(NamedTuple):
    """A manifest as it lies in the store."""

    name: ModelName
    content: bytes
    modified_at: Timestamp


class WrittenBlob(NamedTuple):
    """A blob that is stored now."""

    digest: str
    size: int
    existed: bool


BlobUpload: TypeAlias = ClientStream[WritePart, blob_pb2.WriteResponse]
"""A blob on its way to the store; `finish` gives what is stored then."""


class BlobClient:
    """Typed calls to BlobService; each raises the errors that the service raised."""

    def __init__(self, channel: grpc.aio.Channel, address: str = "") -> None:
        self.address = address
        """Where the channel leads, for processes that connect on their own."""

        self._stub = blob_pb2_grpc.BlobServiceStub(channel)
        self._write = write_method(channel)

    async def size(self, digest: str) -> int:
        """Bytes of a blob.

        Raises:
            BlobNotFound: it is not stored.
        """
        with rpc_errors():
            return (await self._stub.Stat(blob_pb2.StatRequest(digest=digest))).size

    async def sizes(self, digests: Iterable[str]) -> dict[str, int]:
        """Bytes of each of these blobs that is stored."""
        slots = asyncio.Semaphore(_CONCURRENT_CALLS)

        async def stat(digest: str) -> tuple[str, int] | None:
            async with slots:
                try:
                    return digest, await self.size(digest)
                except BlobNotFound:
                    return None

        found = await asyncio.gather(*(stat(digest) for digest in set(digests)))
        return dict(pair for pair in found if pair)

    async def missing(self, digests: Collection[str]) -> set[str]:
        """Those of some blobs that are not stored."""
        return set(digests) - (await self.sizes(digests)).keys()

    async def locate(self, digest: str) -> blob_pb2.LocateResponse:
        """Say where a blob can be read without this service.

        Raises:
            BlobNotFound: it is not stored.
        """
        with rpc_errors():
            return await self._stub.Locate(blob_pb2.LocateRequest(digest=digest))

    async def read(self, digest: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read a blob, or a range of it, into memory; the caller minds the size.

        Raises:
            BlobNotFound: it is not stored.
        """
        request = blob_pb2.ReadRequest(digest=digest, offset=offset, length=length)
        with rpc_errors():
            return b"".join([piece.data async for piece in self._stub.Read(request)])

    async def pieces(self, digest: str, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        """Read a range of a blob piece by piece.

        Raises:
            BlobNotFound: it is not stored.
        """
        call = self._stub.Read(blob_pb2.ReadRequest(digest=digest, offset=offset, length=length))
        try:
            with rpc_errors():
                async for piece in call:
                    yield piece.data
        finally:
            call.cancel()

    async def read_small(self, digests: Collection[str]) -> dict[str, bytes]:
        """Read up to 1,000 blobs at once; what is missing or has more than 64 KiB is left out."""
        request = blob_pb2.ReadManyRequest(digests=digests, largest=_SMALL)
        with rpc_errors():
            return {
                blob.digest: blob.content
                async for response in self._stub.ReadMany(request)
                for blob in response.blobs
            }

    async def write(self, content: bytes) -> WrittenBlob:
        """Store a small blob; for as long as a restart takes, it is sent again."""
        sha256 = await asyncio.to_thread(hashlib.sha256, content)
        digest = f"sha256:{sha256.hexdigest()}"
        for pause in _PAUSES:
            with suppress(Interrupted):
                return await self._write_once(digest, content)
            await asyncio.sleep(pause)
        return await self._write_once(digest, content)

    async def _write_once(self, digest: str, content: bytes) -> WrittenBlob:
        response = await send_all(self._write(), _pieces(digest, content))
        return WrittenBlob(response.digest, response.size, response.existed)

    async def write_status(self, digest: str, size: int) -> blob_pb2.WriteStatusResponse:
        """Tell how far a kept upload has come."""
        with rpc_errors():
            request = blob_pb2.WriteStatusRequest(digest=digest, size=size)
            return await self._stub.WriteStatus(request)

    @asynccontextmanager
    async def begin_write(
        self, size: int, digest: str = "", *, keep: bool = False, offset: int = 0
    ) -> AsyncIterator[BlobUpload]:
        """Begin to store a blob of that many bytes, whatever its digest where none is given.

        Leaving before the end forgets what was sent, unless it is to be kept.

        Raises:
            UploadMoved: no kept upload of `offset` bytes can be continued.
        """
        with ClientStream(self._write()) as upload:
            header = blob_pb2.WriteHeader(digest=digest, size=size, keep=keep, offset=offset)
            await upload.send(blob_pb2.WriteRequest(header=header))
            yield upload

    async def retain(self, digests: Iterable[str]) -> list[str]:
        """Keep blobs from collection for the grace period; give those that are not stored."""
        with rpc_errors():
            request = blob_pb2.RetainRequest(digests=sorted(digests))
            return list((await self._stub.Retain(request)).missing)

    async def collect(self, digests: Iterable[str], released_at: Timestamp) -> None:
        """Delete those of these blobs that nobody needs any more."""
        request = blob_pb2.CollectRequest(digests=sorted(digests), released_at=released_at)
        if request.digests:
            with rpc_errors():
                await self._stub.Collect(request)

    async def read_manifest(
        self, name: ModelName, *, any_case: bool = False
    ) -> StoredManifest | None:
        """Read the manifest of exactly that name, if there is one.

        With `any_case` another spelling in upper and lower case will do where there is none.
        """
        try:
            with rpc_errors():
                request = blob_pb2.ReadManifestRequest(name=name.to_proto(), any_case=any_case)
                return stored_manifest(await self._stub.ReadManifest(request))
        except NotFound:
            return None

    async def write_manifest(self, name: ModelName, content: bytes) -> None:
        """Write a manifest, over an earlier one of the same name."""
        with rpc_errors():
            await self._stub.WriteManifest(
                blob_pb2.WriteManifestRequest(name=name.to_proto(), content=content)
            )

    async def delete_manifest(self, name: ModelName) -> None:
        """Remove a manifest; its blobs stay.

        Raises:
            NotFound: there is none of exactly that name.
        """
        with rpc_errors():
            await self._stub.DeleteManifest(blob_pb2.DeleteManifestRequest(name=name.to_proto()))

    async def manifest_pages(self) -> AsyncGenerator[blob_pb2.ListManifestsResponse, None]:
        """Read every manifest of the store, many at a time and as they are sent.

        Pages of which nothing has changed are equal, as a rule also by their places.
        """
        call = self._stub.ListManifests(blob_pb2.ListManifestsRequest())
        try:
            with rpc_errors():
                async for page in call:
                    yield page
        finally:
            call.cancel()


def stored_manifest(manifest: blob_pb2.StoredManifest) -> StoredManifest:
    """Read a manifest that came over the wire."""
    name = ModelName.from_proto(manifest.name)
    return StoredManifest(name, manifest.content, manifest.modified_at)


async def _pieces(digest: str, content: bytes) -> AsyncGenerator[WritePart, None]:
    header = blob_pb2.WriteHeader(digest=digest, size=len(content))
    yield blob_pb2.WriteRequest(header=header)
    for start in range(0, len(content), _PIECE):
        yield encode_data(content[start : start + _PIECE])
