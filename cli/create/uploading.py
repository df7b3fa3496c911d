"""Uploading files as blobs: only what the server lacks, and again where a connection breaks."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import httpx
import ollama

from cli.complaints import ForeignReply, check_reply, refusal
from cli.progress import Progress
from cli.server import http_options
from common.hosts import HostAddress

_PIECE = 1024 * 1024
_MOST = 4  # uploads at a time
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds, between tries
_PASSING = (408, 429, 502, 503, 504)


async def upload_files(
    address: HostAddress,
    key: str,
    paths: Mapping[str, Path],
    progress: Progress,
    pauses: Sequence[float] = _PAUSES,
) -> None:
    """Bring files to a server.

    Args:
        address: of the server.
        key: that the server wants; empty: none.
        paths: of the files, by their digests.
        progress: shows how far each is.
        pauses: between tries, in seconds; there is one try more.

    Raises:
        httpx.HTTPError: the server could not be reached, several times in a row.
        ollama.ResponseError: it refused a file.
        OSError: a file cannot be read.
    """
    places = asyncio.Semaphore(_MOST)

    async def check(response: httpx.Response) -> None:
        if response.status_code >= 400:
            await response.aread()
            check_reply(response)

    async with httpx.AsyncClient(
        base_url=address.api_url,
        event_hooks={"response": [check]},
        **http_options(address, key),
    ) as client:

        async def upload_one(digest: str, path: Path) -> None:
            async with places:
                await _Upload(client, digest, path, progress).run(pauses)

        await asyncio.gather(*(upload_one(digest, path) for digest, path in paths.items()))


class _Upload:
    def __init__(
        self, client: httpx.AsyncClient, digest: str, path: Path, progress: Progress
    ) -> None:
        self._client = client
        self._url = f"/api/blobs/{digest}"
        self._path = path
        self._size = path.stat().st_size
        self._progress = progress

    async def run(self, pauses: Sequence[float]) -> None:
        """Upload, and begin again where that may help."""
        for pause in pauses:
            try:
                return await self._try()
            except (httpx.TransportError, ForeignReply, ollama.ResponseError) as error:
                if not _may_pass(error):
                    raise
            await asyncio.sleep(pause)
        return await self._try()

    async def _try(self) -> None:
        if (await self._client.head(self._url)).is_success:
            return
        response = await self._client.post(
            self._url, content=self._pieces(), headers={"Content-Length": str(self._size)}
        )
        if response.is_error:
            raise refusal(response)
        if not response.is_success:
            raise ForeignReply(response.status_code, response.reason_phrase)

    async def _pieces(self) -> AsyncIterator[bytes]:
        done = 0
        with self._path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield piece
                done += len(piece)
                self._progress.advance(f"copying {self._path.name}", done, self._size)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ForeignReply):
        return error.status in _PASSING
    if isinstance(error, ollama.ResponseError):
        return error.status_code in _PASSING
    return True
