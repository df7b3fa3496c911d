"""Parts of a blob that a registry wants to be put elsewhere, as Ollama's does.

Only the registry itself has to be asked for one part after the other: the parts go to where
it wants them side by side.
"""

import asyncio
import hashlib
from types import TracebackType
from typing import Self

from common.errors import RegistryFailed
from services.registry.remote.errors import Transient
from services.registry.remote.moving import moving
from services.registry.remote.retries import RetryPolicy, with_retries
from services.registry.remote.session import RemoteSession
from services.registry.remote.upload_body import UploadBody

_AT_ONCE = 8
_PUT = (200, 201, 204)


class PartsElsewhere:
    """Puts parts, each tried again by itself; an asynchronous context manager.

    Leaving it waits for all of them, or ends them where the block fails.
    """

    def __init__(self, session: RemoteSession, policy: RetryPolicy, stall_timeout: float) -> None:
        self._session = session
        self._policy = policy
        self._stall_timeout = stall_timeout
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._group = asyncio.TaskGroup()
        self._sums: list[asyncio.Task[bytes]] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def put(self, url: str, body: UploadBody) -> None:
        """Begin to put a part; waits as long as enough are on their way.

        Where one fails for good, the block is ended with its `RegistryFailed`.
        """
        await self._slots.acquire()
        self._sums.append(self._group.create_task(self._put(url, body)))

    @property
    def etag(self) -> str | None:
        """What the registry compares: the MD5 of all parts' MD5s, and how many there are."""
        if not self._sums:
            return None
        sums = b"".join(task.result() for task in self._sums)
        return f"{hashlib.md5(sums, usedforsecurity=False).hexdigest()}-{len(self._sums)}"

    async def _put(self, url: str, body: UploadBody) -> bytes:
        async def attempt() -> bytes:
            return await self._attempt(url, body)

        try:
            return await with_retries(attempt, self._policy)
        except Transient as error:
            raise RegistryFailed(error.message) from error
        finally:
            self._slots.release()

    async def _attempt(self, url: str, body: UploadBody) -> bytes:
        md5 = hashlib.md5(usedforsecurity=False)
        async with (
            moving(self._session.location.host, self._stall_timeout) as moved,
            self._session.request(
                "PUT",
                url,
                headers=body.headers,
                data=lambda: body.read(moved, md5),
                expect=_PUT,
            ),
        ):
            body.arrived()
            return md5.digest()
