"""Reading parts of a stored file."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import BlobNotFound, InvalidModel
from common.rpc import open_channel
from common.server import Server
from protos.paddock.v1 import blob_pb2, blob_pb2_grpc
from services.registry.blob_client import BlobClient
from services.registry.quantize.source import open_source
from tests.services.registry.running import CountingBlobServicer, digest_of

CONTENT = bytes(range(256)) * 10_000


class Elsewhere(CountingBlobServicer):
    """A store on another machine."""

    async def Locate(
        self, request: blob_pb2.LocateRequest, context: Any
    ) -> blob_pb2.LocateResponse:
        located = await super().Locate(request, context)
        return blob_pb2.LocateResponse(size=located.size, path="/nowhere/at/all")


@pytest.mark.parametrize(("kind", "by_wire"), [(CountingBlobServicer, False), (Elsewhere, True)])
async def test_ranges(tmp_path: Path, kind: type[CountingBlobServicer], by_wire: bool) -> None:
    servicer, server = kind(tmp_path), Server()
    blob_pb2_grpc.add_BlobServiceServicer_to_server(servicer, server.grpc)
    async with open_channel(await server.start("127.0.0.1:0")) as channel:
        blobs = BlobClient(channel)
        digest = (await blobs.write(CONTENT)).digest
        async with open_source(blobs, digest) as source:
            assert source.size == len(CONTENT)
            assert await source.read(1000, 500) == CONTENT[1000:1500]
            assert b"".join([it async for it in source.pieces(7, 2_500_000)]) == CONTENT[7:2500007]
            with pytest.raises(InvalidModel, match="truncated: the file ends after 2560000 bytes"):
                await source.read(len(CONTENT) - 5, 6)
        assert bool(servicer.reads) == by_wire
        with pytest.raises(BlobNotFound):
            async with open_source(blobs, digest_of(b"")):
                pass
    await server.stop(0)
