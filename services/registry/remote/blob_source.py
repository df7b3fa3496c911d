"""A blob at another registry: where its bytes can be read, whole or by ranges."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from common.errors import RegistryFailed
from services.registry.remote.errors import Transient, shown_body
from services.registry.remote.session import RemoteSession

_OK = 200
_PARTIAL = 206
_ERROR = 400
# What a storage service answers to a link that was good for a while.
_EXPIRED = (400, 401, 403, 404, 410)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class BlobSource:
    """Opens a blob for reading.

    A registry may serve it itself or redirect to where it lies. The place it redirects to
    answers further ranges directly, until it does not any more: links expire.
    """

    def __init__(self, session: RemoteSession, digest: str, size: int) -> None:
        self._session = session
        self._path = session.location.blob_path(digest)
        self._direct = ""
        self._digest = digest
        self._size = size

    async def takes_ranges(self, start: int) -> bool:
        """Ask for a single byte, to see whether ranges are answered as such."""
        async with self._get(f"bytes={start}-{start}") as response:
            if response.status == _PARTIAL:
                self._check_range(response, start)
                return True
            self._check_length(response)
            return False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open the whole blob.

        Raises:
            RegistryFailed, Transient: see `RemoteSession.request`.
        """
        async with self._session.request("GET", self._path) as response:
            self._check_length(response)
            yield response

    @asynccontextmanager
    async def open_range(self, start: int, end: int) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open the bytes from `start` up to but not including `end`.

        Raises:
            RegistryFailed, Transient: see `RemoteSession.request`.
        """
        async with self._get(f"bytes={start}-{end - 1}") as response:
            if response.status != _PARTIAL:
                raise Transient("the registry stopped to answer ranges")
            self._check_range(response, start)
            yield response

    @asynccontextmanager
    async def _get(self, wanted: str) -> AsyncIterator[aiohttp.ClientResponse]:
        direct = self._direct
        expect = (_OK, _PARTIAL, *_EXPIRED) if direct else (_OK, _PARTIAL)
        headers = {"Range": wanted}
        async with self._session.request(
            "GET", direct or self._path, headers=headers, expect=expect
        ) as response:
            if response.status >= _ERROR:
                if self._direct == direct:
                    self._direct = ""
                raise Transient(f"{response.status}: {await shown_body(response)}")
            if response.url != self._session.url(self._path):
                self._direct = str(response.url)
            yield response

    def _check_range(self, response: aiohttp.ClientResponse, start: int) -> None:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not match or int(match[1]) != start:
            raise RegistryFailed(f"the registry answered with another range of {self._digest}")
        if match[3] != "*":
            self._check_size(int(match[3]))

    def _check_length(self, response: aiohttp.ClientResponse) -> None:
        if response.content_length is not None:
            self._check_size(response.content_length)

    def _check_size(self, size: int) -> None:
        if size != self._size:
            raise RegistryFailed(
                f"{self._digest} has {size} bytes where its manifest says {self._size}"
            )
