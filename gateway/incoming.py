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
                piece = await request.content.readany()
        except TimeoutError:
            raise StalledBody(f"no more of the request's body came for {patience}") from None
        if not piece:
            return
        yield piece


async def whole_body(request: web.Request) -> bytes:
    """Give a request's body in one piece.

    Raises:
        TooLarge: it passes the configured limit.
        InvalidRequest, StalledBody: see `body_pieces`.
    """
    limit = request.app[SETTINGS].max_body
    too_large = TooLarge(f"request body is larger than {limit} bytes")
    if (request.content_length or 0) > limit:
        raise too_large
    pieces: list[bytes] = []
    size = 0
    async for piece in body_pieces(request):
        size += len(piece)
        if size > limit:
            raise too_large
        pieces.append(piece)
    return b"".join(pieces)
