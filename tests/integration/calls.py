"""Clients that manage models while others stream, and what they met."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

_DEADLINE = 60.0  # seconds
_SIZE = 300_000  # bytes of an upload
_PAUSE = 0.05
# What a client is to try again: nothing was done, or it cannot be known.
_LATER = (500, 502, 503)


class Calls:
    """Asks a gateway for all it can do beside generating, over and over."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopped = False
        self.rounds = 0
        """How often everything was done."""
        self.repeated: list[str] = []
        """Answers that told the client to try again."""
        self.losses: list[str] = []
        """What should not have been."""

    async def run(self) -> None:
        """Go on until stopped."""
        async with aiohttp.ClientSession(self._url) as session:
            while not self._stopped:
                await self._round(session)
                self.rounds += 1
                await asyncio.sleep(_PAUSE)

    def stop(self) -> None:
        """End with this round."""
        self._stopped = True

    async def _round(self, session: aiohttp.ClientSession) -> None:
        content = os.urandom(_SIZE)
        blob = f"/api/blobs/sha256:{hashlib.sha256(content).hexdigest()}"
        copy = {"source": "demo", "destination": "other"}
        for method, path, body, statuses in (
            ("GET", "/api/tags", None, {200}),
            ("POST", "/api/show", {"model": "demo"}, {200}),
            ("POST", "/api/copy", copy, {200}),
            ("POST", "/api/show", {"model": "other"}, {200}),
            ("DELETE", "/api/delete", {"model": "other"}, {200, 404}),
            ("GET", "/api/ps", None, {200}),
            ("POST", blob, content, {201, 200}),
            ("HEAD", blob, None, {200}),
        ):
            await self._call(session, method, path, body, statuses)

    async def _call(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: dict[str, str] | bytes | None,
        statuses: set[int],
    ) -> None:
        arguments = {"data": body} if isinstance(body, bytes) else {"json": body}
        end = time.monotonic() + _DEADLINE
        while time.monotonic() < end:
            async with session.request(method, path, **arguments) as answer:
                text = f"{method} {path[:40]}: {answer.status} {await answer.text()}"
            if answer.status in statuses:
                return
            if answer.status not in _LATER:
                self.losses.append(text)
                return
            self.repeated.append(text)
            await asyncio.sleep(_PAUSE)
        self.losses.append(f"{method} {path[:40]} did not succeed in time")


@asynccontextmanager
async def running_calls(url: str) -> AsyncIterator[Calls]:
    """Make calls for as long as the block lasts; fail when one went wrong."""
    calls = Calls(url)
    running = asyncio.create_task(calls.run())
    try:
        yield calls
        calls.stop()
        await running
    finally:
        running.cancel()
        print(f"{calls.rounds} rounds of calls", *calls.repeated, sep="\n")
    assert not calls.losses, calls.losses
