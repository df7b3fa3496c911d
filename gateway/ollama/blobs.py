"""`HEAD|POST /api/blobs/:digest`: upload files for `/api/create`.

The bytes go to the blob service as they come; nothing is kept here.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from common.blob_messages import WritePart, encode_all
from common.client_stream import send_all
from common.digests import parse_digest
from common.errors import BlobNotFound
from common.rpc import rpc_errors
from common.settings import seconds
from gateway.incoming import body_pieces
from gateway.services import SERVICES
from gateway.settings import SETTINGS
from protos.paddock.v1 import blob_pb2

PART_BYTES = 1024 * 1024


async def head_blob(request: web.Request) -> web.Response:
    """Tell whether a blob is stored."""
    digest = parse_digest(request.match_info["digest"])
    if not await _is_stored(request, digest):
        raise BlobNotFound(f'blob "{digest}" not found')
    return web.Response()


async def post_blob(request: web.Request) -> web.Response:
    """Store a blob: 201 when it is new, 200 without looking at the body when it is not."""
    digest = parse_digest(request.match_info["digest"])
    if await _is_retained(request, digest):
        return _stored_already(request)
    await _send_continue(request)
    response = await send_all(request.app[SERVICES].write_blob(), _requests(digest, request))
    return _stored_already(request) if response.existed else web.Response(status=201)


async def _is_stored(request: web.Request, digest: str) -> bool:
    try:
        with rpc_errors():
            await request.app[SERVICES].blob.Stat(
                blob_pb2.StatRequest(digest=digest),
                timeout=seconds(request.app[SETTINGS].call_timeout),
            )
    except BlobNotFound:
        return False
    return True


async def _is_retained(request: web.Request, digest: str) -> bool:
    """Tell whether a blob is stored, and keep it so for the create that will name it."""
    with rpc_errors():
        retained = await request.app[SERVICES].blob.Retain(
            blob_pb2.RetainRequest(digests=[digest]),
            timeout=seconds(request.app[SETTINGS].call_timeout),
        )
    return not retained.missing


def _stored_already(request: web.Request) -> web.Response:
    response = web.Response()
    if not request.content.at_eof():
        # The rest of the body is on its way: the connection cannot carry another request.
        response.force_close()
    return response


async def _requests(digest: str, request: web.Request) -> AsyncGenerator[WritePart, None]:
    header = blob_pb2.WriteHeader(digest=digest, size=request.content_length)
    yield blob_pb2.WriteRequest(header=header)
    request.content.set_read_chunk_size(PART_BYTES)
    async with aclosing(encode_all(body_pieces(request), PART_BYTES)) as parts:
        async for part in parts:
            yield part


async def _leave_expectation(request: web.Request) -> None:
    """Answer `Expect: 100-continue` only once the body is really wanted."""


async def _send_continue(request: web.Request) -> None:
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


ROUTES = [
    web.head("/api/blobs/{digest}", head_blob),
    web.post("/api/blobs/{digest}", post_blob, expect_handler=_leave_expectation),
]
