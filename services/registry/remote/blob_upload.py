"""One blob on its way from the store to another registry.

Protocol: distribution.github.io/distribution/spec/api (chunked upload, cross-repository
mount), with what Ollama's registry adds: it redirects each part to where it is to be put.
"""

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from common.errors import RegistryFailed
from services.registry.blob_client import BlobClient
from services.registry.remote.errors import RemoteNotFound, Transient
from services.registry.remote.progress import Progress
from services.registry.remote.retries import RetryPolicy, pause
from services.registry.remote.session import RemoteSession
from services.registry.remote.upload_parts import Part, next_part

logger = logging.getLogger(__name__)

_OK = 200
_CREATED = 201
_ACCEPTED = 202
_NO_CONTENT = 204
_REDIRECT = 307

_RECEIVED = re.compile(r"(?:bytes=)?0-(\d+)")
_LAST_PART_SECONDS = 10.0
_EMPTY = {"Content-Length": "0"}


@dataclass
class _Begun:
    """An upload that the registry has begun to take."""

    url: str
    """Where the next part goes."""

    offset: int = 0
    sums: list[bytes] = field(default_factory=list)
    """MD5 of each part that was put elsewhere; Ollama's registry compares them."""


class BegunUploads:
    """Where uploads that broke off can go on, as long as this process lives."""

    def __init__(self, most: int = 256) -> None:
        self._urls: dict[tuple[str, str], str] = {}
        self._most = most

    def remember(self, session: RemoteSession, digest: str, url: str) -> None:
        """Note where the next part of a blob goes."""
        self._urls.pop(self._key(session, digest), None)
        self._urls[self._key(session, digest)] = url
        if len(self._urls) > self._most:
            del self._urls[next(iter(self._urls))]

    def find(self, session: RemoteSession, digest: str) -> str | None:
        """Give where a blob's upload can go on."""
        return self._urls.get(self._key(session, digest))

    def forget(self, session: RemoteSession, digest: str) -> None:
        """Note that an upload is over, or that the registry does not know it any more."""
        self._urls.pop(self._key(session, digest), None)

    @staticmethod
    def _key(session: RemoteSession, digest: str) -> tuple[str, str]:
        return session.url(session.location.blob_path(digest)).human_repr(), digest


class RemoteBlobUpload:
    """Sends blobs to one repository; those that it has are not sent.

    `mounts` gives, by digest, another repository of the same registry that may have a blob.
    """

    def __init__(
        self,
        blobs: BlobClient,
        session: RemoteSession,
        begun: BegunUploads,
        policy: RetryPolicy,
        stall_timeout: float,
        mounts: Mapping[str, str],
    ) -> None:
        self._blobs = blobs
        self._session = session
        self._begun = begun
        self._policy = policy
        self._stall_timeout = stall_timeout
        self._mounts = mounts

    async def run(self, digest: str, size: int, progress: Progress) -> None:
        """Send the blob.

        Raises:
            RegistryFailed: the registry cannot be reached, or does not take it.
            BlobNotFound: the store has lost it.
        """
        pauses = self._policy.pauses()
        farthest = 0
        while True:
            try:
                if await self._is_there(digest):
                    break
                begun = await self._begin(digest)
                if begun is None:
                    break
                if begun.offset > farthest:
                    farthest, pauses = begun.offset, self._policy.pauses()
                await self._send(begun, digest, size, progress)
                await self._commit(begun, digest)
                break
            except Transient as error:
                await pause(pauses, error)
        progress.completed = size

    async def _is_there(self, digest: str) -> bool:
        path = self._session.location.blob_path(digest)
        try:
            async with self._moving(), self._session.request("HEAD", path):
                return True
        except RemoteNotFound:
            return False

    async def _begin(self, digest: str) -> _Begun | None:
        """Begin an upload, or go on with one; None where the registry has taken it over."""
        if url := self._begun.find(self._session, digest):
            try:
                return await self._received(url)
            except Transient:
                raise
            except RegistryFailed:
                self._begun.forget(self._session, digest)
                logger.info("%s has forgotten an upload", self._session.location.host)
        path = f"/v2/{self._session.location.repository}/blobs/uploads/"
        if source := self._mounts.get(digest):
            path += f"?mount={digest}&from={source}"
        expect = (_CREATED, _ACCEPTED)
        async with (
            self._moving(),
            self._session.request("POST", path, headers=_EMPTY, expect=expect) as response,
        ):
            if response.status == _CREATED:
                return None
            begun = _Begun(_next_url(response))
            self._begun.remember(self._session, digest, begun.url)
            return begun

    async def _received(self, url: str) -> _Begun:
        """Ask how much of an upload has arrived."""
        async with (
            self._moving(),
            self._session.request("GET", url, expect=(_NO_CONTENT,)) as response,
        ):
            received = _RECEIVED.fullmatch(response.headers.get("Range", ""))
            # Nothing has the range 0-0, and so has a single byte.
            last = int(received[1]) if received else 0
            return _Begun(_next_url(response), last + 1 if last else 0)

    async def _send(self, begun: _Begun, digest: str, size: int, progress: Progress) -> None:
        """Send what is missing, part by part."""
        progress.completed = begun.offset
        while begun.offset < size:
            part = next_part(size, begun.offset)
            body = _Body(self._blobs, digest, part, progress)
            await _to_its_end(self._send_part(begun, body))
            begun.offset = progress.completed = part.end

    async def _send_part(self, begun: _Begun, body: "_Body") -> None:
        if elsewhere := await self._patch(begun, body):
            begun.sums.append(await self._put(elsewhere, body))
        self._begun.remember(self._session, body.digest, begun.url)

    async def _patch(self, begun: _Begun, body: "_Body") -> str | None:
        """Send a part to the registry; give where it wants it to be put instead."""
        headers = {**body.headers, "Content-Range": body.part.content_range}
        async with (
            self._moving() as moved,
            self._session.request(
                "PATCH",
                begun.url,
                headers={**headers, "X-Redirect-Uploads": "1"},
                data=lambda: body.read(moved),
                expect=(_ACCEPTED, _NO_CONTENT, _CREATED, _REDIRECT),
                follow=False,
            ) as response,
        ):
            begun.url = _next_url(response)
            return response.headers["Location"] if response.status == _REDIRECT else None

    async def _put(self, url: str, body: "_Body") -> bytes:
        """Put a part where the registry wants it; give its MD5."""
        md5 = hashlib.md5(usedforsecurity=False)
        async with (
            self._moving() as moved,
            self._session.request(
                "PUT",
                url,
                headers=body.headers,
                data=lambda: body.read(moved, md5),
                expect=(_OK, _CREATED, _NO_CONTENT),
            ),
        ):
            return md5.digest()

    async def _commit(self, begun: _Begun, digest: str) -> None:
        """Say that this was all. The registry reads it once more, which may take long."""
        url = URL(begun.url, encoded=True).update_query(digest=digest)
        if begun.sums:
            etag = hashlib.md5(b"".join(begun.sums), usedforsecurity=False).hexdigest()
            url = url.update_query(etag=f"{etag}-{len(begun.sums)}")
        self._begun.remember(self._session, digest, begun.url)
        async with self._session.request(
            "PUT", str(url), headers=_EMPTY, expect=(_CREATED, _NO_CONTENT, _OK)
        ):
            self._begun.forget(self._session, digest)

    @asynccontextmanager
    async def _moving(self) -> AsyncIterator[Callable[[], None]]:
        """Give up on what stands still; what is given says that it does not."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._stall_timeout) as limit:
                yield lambda: limit.reschedule(loop.time() + self._stall_timeout)
        except TimeoutError as error:
            raise Transient(f"{self._session.location.host} does not answer") from error


class _Body:
    """A part of a blob as a request's body."""

    def __init__(self, blobs: BlobClient, digest: str, part: Part, progress: Progress) -> None:
        self.part = part
        self.headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(part.size),
        }
        self.digest = digest
        self._blobs = blobs
        self._progress = progress

    async def read(
        self, moved: Callable[[], None], md5: "hashlib._Hash | None" = None
    ) -> AsyncGenerator[bytes, None]:
        """Give the bytes from the beginning, and add them to a sum."""
        self._progress.completed = self.part.start
        pieces = self._blobs.pieces(self.digest, self.part.start, self.part.size)
        async with aclosing(pieces):
            async for piece in pieces:
                if md5:
                    await asyncio.to_thread(md5.update, piece)
                yield piece
                self._progress.add(len(piece))
                moved()


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Let a part that is on its way arrive though nobody waits for it any more."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait({task}, timeout=_LAST_PART_SECONDS)
        finally:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def _next_url(response: aiohttp.ClientResponse) -> str:
    """Read where the next part goes."""
    location = response.headers.get("Docker-Upload-Location") or response.headers.get("Location")
    if not location:
        raise RegistryFailed("the registry does not say where to upload to")
    return str(response.url.join(URL(location, encoded=True)))
