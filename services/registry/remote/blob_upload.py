"""One blob on its way from the store to another registry.

Protocol: distribution.github.io/distribution/spec/api (chunked upload, cross-repository
mount), with what Ollama's registry adds: it redirects each part to where it is to be put.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
from yarl import URL

from common.errors import RegistryFailed
from services.registry.blob_client import BlobClient
from services.registry.remote.begun_uploads import BegunUpload, BegunUploads
from services.registry.remote.errors import RemoteNotFound, Transient
from services.registry.remote.moving import moving
from services.registry.remote.progress import Progress
from services.registry.remote.retries import RetryPolicy, pause
from services.registry.remote.session import RemoteSession
from services.registry.remote.upload_body import UploadBody
from services.registry.remote.upload_elsewhere import PartsElsewhere
from services.registry.remote.upload_parts import next_part

logger = logging.getLogger(__name__)

_OK = 200
_CREATED = 201
_ACCEPTED = 202
_NO_CONTENT = 204
_REDIRECT = 307

_RECEIVED = re.compile(r"(?:bytes=)?0-(\d+)")
_LAST_PART_SECONDS = 10.0
_EMPTY = {"Content-Length": "0"}


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
                etag = await self._send(begun, digest, size, progress)
                await self._commit(begun, digest, etag)
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

    async def _begin(self, digest: str) -> BegunUpload | None:
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
            begun = BegunUpload(_next_url(response))
            self._begun.remember(self._session, digest, begun.url)
            return begun

    async def _received(self, url: str) -> BegunUpload:
        """Ask how much of an upload has arrived."""
        async with (
            self._moving(),
            self._session.request("GET", url, expect=(_NO_CONTENT,)) as response,
        ):
            received = _RECEIVED.fullmatch(response.headers.get("Range", ""))
            # Nothing has the range 0-0, and so has a single byte.
            last = int(received[1]) if received else 0
            return BegunUpload(_next_url(response), last + 1 if last else 0)

    async def _send(
        self, begun: BegunUpload, digest: str, size: int, progress: Progress
    ) -> str | None:
        """Send what is missing, part by part; give the sum of parts that went elsewhere."""
        progress.completed = begun.offset
        async with PartsElsewhere(self._session, self._policy, self._stall_timeout) as elsewhere:
            while begun.offset < size:
                part = next_part(size, begun.offset)
                body = UploadBody(self._blobs, digest, part, progress)
                await _to_its_end(self._send_part(begun, body, elsewhere))
                begun.offset = part.end
        return elsewhere.etag

    async def _send_part(
        self, begun: BegunUpload, body: UploadBody, elsewhere: PartsElsewhere
    ) -> None:
        if place := await self._patch(begun, body):
            # What has been put elsewhere is not known to whoever would go on.
            self._begun.forget(self._session, body.digest)
            await elsewhere.put(place, body)
        else:
            body.arrived()
            self._begun.remember(self._session, body.digest, begun.url)

    async def _patch(self, begun: BegunUpload, body: UploadBody) -> str | None:
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
            if response.status != _REDIRECT:
                return None
            if not (place := response.headers.get("Location")):
                raise RegistryFailed("the registry redirects a part to nowhere")
            return str(response.url.join(URL(place, encoded=True)))

    async def _commit(self, begun: BegunUpload, digest: str, etag: str | None) -> None:
        """Say that this was all. The registry reads it once more, which may take long."""
        url = URL(begun.url, encoded=True).update_query(digest=digest)
        if etag:
            url = url.update_query(etag=etag)
        else:
            self._begun.remember(self._session, digest, begun.url)
        async with self._session.request(
            "PUT", str(url), headers=_EMPTY, expect=(_CREATED, _NO_CONTENT, _OK)
        ):
            self._begun.forget(self._session, digest)

    def _moving(self) -> AbstractAsyncContextManager[Callable[[], None]]:
        return moving(self._session.location.host, self._stall_timeout)


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
