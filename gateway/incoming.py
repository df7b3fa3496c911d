"""Request bodies as they come in: piece by piece, or whole up to the configured limit."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from common.errors import StalledBody, TooLarge
from common.settings import seconds
from gateway.settings import SETTINGS


async def body_pieces(request: web.Request) -> AsyncIterator[bytes]:
    """Give a request's body as it arrives.

    Raises:
        InvalidRequest: it ends early, or is damaged.
        StalledBody: nothing came for too long. The time in which nobody reads does not count.
    """
    patience = request.app[SETTINGS].body_timeout
    while True:
        try:
            async with asyncio.timeout(seconds(patience) or None):
                piece, ends_chunk = await request.content.readchunk()
        except TimeoutError:
            raise StalledBody(f"no more of the request's body came for {patience}") from None
        if piece:
            yield piece
        elif not ends_chunk:
            return


async def whole_body(request: web.Request) -> bytes:
    """Give a request's body in one piece.

    Raises:
        TooLarge: it passes the configured limit.
        InvalidRequest, StalledBody: see `body_pieces`.
    """
    limit = request.app[SETTINGS].max_body
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if request.content.is_eof() and request.content.total_bytes <= limit:
        return request.content.read_nowait()  # it has come together with the request's head
    pieces: list[bytes] = []
    size = 0
    async for piece in body_pieces(request):
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"request body is larger than {limit} bytes")
