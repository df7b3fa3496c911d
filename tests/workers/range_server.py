"""An HTTP server that gives ranges of blobs, as S3 does, and fails as it is told to."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

_HALF = 2
_CHUNK = 16 * 1024
_DRIP_SECONDS = 0.05


class RangeServer:
    """Serves files by their digests. `faults` holds what the next requests meet:

    a status; "stall", "drip" or "drop" in the middle of the body; "short" (less than was
    asked for); "shifted" (another range, honestly named); "lie" (other bytes); "whole" (no
    range at all); "" (nothing).
    """

    def __init__(self, paths: dict[str, Path]) -> None:
        self.paths = paths
        self.url = ""
        self.faults: deque[str] = deque()
        self.always = ""
        """What every request meets for which no fault is left."""
        self.served = 0
        self.requests = 0
        self.expired_before = 0
        """URLs with a smaller number are refused."""
        self.pace = 0.0
        """Seconds between two chunks."""
        self.most_at_once = 0
        self._at_once = 0

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._answer(request)
        finally:
            self._at_once -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.popleft() if self.faults else self.always
        if int(request.query_string) < self.expired_before:
            return web.Response(status=403)
        if fault.isdigit():
            return web.Response(status=int(fault), text="<Error/>" * 1000)
        content = self.paths[request.match_info["digest"]].read_bytes()
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["Range"])
        assert match
        start, end = int(match[1]), int(match[2]) + 1
        if fault == "whole":
            return web.Response(body=content)
        if fault == "shifted":
            start = start + 1 if start + 1 < end else start - 1
        if fault == "short":
            end -= max((end - start) // _HALF, 1)
        body = content[start:end]
        if fault == "lie":
            body = bytes(byte ^ 1 for byte in body)
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
        response = web.StreamResponse(status=206, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        await self._send(request, response, body, fault)
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, body: bytes, fault: str
    ) -> None:
        rest = body[len(body) // _HALF :]
        if fault in ("stall", "drip", "drop"):
            body = body[: len(body) // _HALF]
        for start in range(0, len(body), _CHUNK):
            await response.write(body[start : start + _CHUNK])
            self.served += len(body[start : start + _CHUNK])
            await asyncio.sleep(self.pace)
        if fault == "stall":
            await asyncio.sleep(60)
        elif fault == "drip":
            for byte in rest:
                await response.write(bytes([byte]))
                self.served += 1
                await asyncio.sleep(_DRIP_SECONDS)
        elif fault == "drop" and request.transport:
            request.transport.close()


@asynccontextmanager
async def running_range_server(paths: dict[str, Path]) -> AsyncIterator[RangeServer]:
    server = RangeServer(paths)
    app = web.Application()
    app.add_routes([web.get("/{digest}", server.get)])
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()
