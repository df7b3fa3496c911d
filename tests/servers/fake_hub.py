"""A registry like Ollama's public one, and the host that its blobs lie on; both in this process.

It redirects, wants tokens, stalls, drops and lies as a test tells it to, and counts what it
was asked for and what it sent.
"""

import asyncio
import base64
import hashlib
import json
import re
import ssl
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
MODEL_TYPE = "application/vnd.ollama.image.model"
TENSOR_TYPE = "application/vnd.ollama.image.tensor"
CONFIG = json.dumps({"model_format": "gguf", "model_family": "llama", "file_type": "F16"}).encode()

_CHUNK = 256 * 1024
_DRIP_SECONDS = 0.02
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    host: str
    """`registry`, `files` or `tokens`."""

    method: str
    path: str
    range: str
    authorization: str


@dataclass
class Fault:
    """What befalls one request for a blob."""

    kind: str
    """`drop`, `stall`, `drip`, `short` (a good end, too early), `wrong` (bytes), `status`,
    `shifted`."""

    after: int = 0
    """Bytes that are sent before."""

    status: int = 500


@dataclass
class FakeHub:
    """What lies in the registry, how it behaves, and what it saw."""

    manifests: dict[str, bytes] = field(default_factory=dict)
    """By `repository:tag`."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    """Of each blob, one for each request that wants bytes of it."""

    redirect: int = 0
    """The status with which blobs are elsewhere; 0: the registry serves them itself."""

    redirect_to: str = ""
    """Where the redirects lead, instead of to the other host."""

    ranges: bool = True
    link_uses: int = 0
    """Requests that one redirection is good for; 0: any number."""

    auth: str = ""
    """`basic`, `bearer` (which takes a token), or nothing."""

    realm: str | None = None
    """The place that it says gives tokens, instead of the right one."""

    users: dict[str, str] = field(default_factory=dict)
    """Who gets a token; nobody named: everybody."""

    token_uses: int = 0
    """Requests that a token is good for; 0: any number."""

    token_pieces: bool = False
    """A token comes in two pieces."""

    manifest_status: int = 0
    manifest_text: str = ""
    limit: int = 0
    """Bytes of blobs after which nothing more is sent until `go_on` is set; 0: none."""

    pace: float = 0.0
    """Seconds that each quarter of a mebibyte takes."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[Seen] = field(default_factory=list)
    served: Counter[str] = field(default_factory=Counter)
    """Bytes that were sent of each blob."""

    url: str = ""
    files_url: str = ""
    tokens_url: str = ""
    _links: dict[str, tuple[str, int]] = field(default_factory=dict)
    _tokens: Counter[str] = field(default_factory=Counter)

    @property
    def host(self) -> str:
        """`127.0.0.1:port`."""
        return self.url.partition("://")[2]

    def add(self, content: bytes) -> str:
        """Put a blob into the registry; give its digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        return digest

    def add_model(
        self, name: str, *layers: bytes, kind: str = TENSOR_TYPE, config: bytes = CONFIG
    ) -> bytes:
        """Put a model into the registry, given as `repository:tag`; give its manifest.

        Into layers of the kind that they have unless told otherwise, nobody looks.
        """
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self.descriptor(config, CONFIG_TYPE),
            "layers": [self.descriptor(layer, kind) for layer in layers],
        }
        self.manifests[name] = json.dumps(manifest, indent=3).encode()
        return self.manifests[name]

    def descriptor(self, content: bytes, kind: str) -> dict[str, Any]:
        """Put a blob into the registry; give what a manifest says of it."""
        return {"mediaType": kind, "digest": self.add(content), "size": len(content)}

    def requests(self, part: str = "", host: str = "") -> list[Seen]:
        """What was asked for, of what has a text in its path."""
        return [seen for seen in self.seen if part in seen.path and host in seen.host]

    def sent(self) -> int:
        """Bytes of blobs that were sent."""
        return self.served.total()

    # The registry

    async def get_manifest(self, request: web.Request) -> web.StreamResponse:
        self._note("registry", request)
        if refusal := self._refusal(request):
            return refusal
        if self.manifest_status:
            return web.Response(status=self.manifest_status, text=self.manifest_text)
        content = self.manifests.get(_name(request))
        if content is None:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        return web.Response(body=content, content_type=MANIFEST_TYPE)

    async def put_manifest(self, request: web.Request) -> web.StreamResponse:
        self._note("registry", request)
        content = await request.read()
        if refusal := self._refusal(request):
            return refusal
        self.manifests[_name(request)] = content
        return web.Response(status=201)

    async def get_blob(self, request: web.Request) -> web.StreamResponse:
        self._note("registry", request)
        if refusal := self._refusal(request):
            return refusal
        digest = request.match_info["digest"]
        if digest not in self.blobs:
            return web.Response(status=404)
        if self.redirect:
            place = self.redirect_to or self.link(digest)
            return web.Response(status=self.redirect, headers={"Location": place})
        return await self._serve(request, digest)

    # The host of the files

    async def get_file(self, request: web.Request) -> web.StreamResponse:
        self._note("files", request)
        key = request.match_info["key"]
        digest, left = self._links[key]
        if self.link_uses and not left:
            return web.Response(status=403, text="Request has expired")
        self._links[key] = digest, left - 1
        return await self._serve(request, digest)

    # The service that gives tokens

    async def get_token(self, request: web.Request) -> web.StreamResponse:
        self._note("tokens", request)
        if self.users and not _is_user(self.users, request.headers.get("Authorization", "")):
            return web.json_response({"details": "incorrect username or password"}, status=401)
        token = f"token-{len(self._tokens) + 1}-{request.query['scope']}"
        self._tokens[token] = self.token_uses
        content = json.dumps({"token": token, "expires_in": 60}).encode()
        if self.token_pieces:
            return await _in_two_pieces(request, content)
        return web.Response(body=content, content_type="application/json")

    def _refusal(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        if self.auth == "basic" and not _is_user(self.users, given):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="here"'})
        if self.auth == "bearer" and not self._takes_token(given.removeprefix("Bearer ")):
            repository = _name(request).partition(":")[0]
            realm = f"{self.tokens_url}/token" if self.realm is None else self.realm
            challenge = (
                f'Bearer realm="{realm}",service="fake",scope="repository:{repository}:pull"'
            )
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        return None

    def _takes_token(self, token: str) -> bool:
        if token not in self._tokens:
            return False
        if self.token_uses and not self._tokens[token]:
            return False
        self._tokens[token] -= 1
        return True

    def link(self, digest: str) -> str:
        """Give a URL at the other host that answers with a blob."""
        key = str(len(self._links))
        self._links[key] = digest, self.link_uses
        return f"{self.files_url}/files/{key}?signature=a%2Fb%3D"

    def _note(self, host: str, request: web.Request) -> None:
        self.seen.append(
            Seen(
                host,
                request.method,
                request.path,
                request.headers.get("Range", ""),
                request.headers.get("Authorization", ""),
            )
        )

    async def _serve(self, request: web.Request, digest: str) -> web.StreamResponse:
        content = self.blobs[digest]
        fault = self.faults[digest].popleft() if self.faults[digest] else Fault("")
        if fault.kind == "status":
            return web.Response(status=fault.status, text="out of order")
        start, end = 0, len(content)
        response = web.StreamResponse()
        if self.ranges and (match := _RANGE.fullmatch(request.headers.get("Range", ""))):
            start, end = int(match[1]), min(int(match[2]) + 1, len(content))
            shown = start + (1 if fault.kind == "shifted" else 0)
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {shown}-{end - 1}/{len(content)}"
        response.content_length = end - start
        if fault.kind == "short":
            response.content_length = fault.after
        await response.prepare(request)
        await self._send(request, response, digest, content[start:end], fault)
        return response

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        digest: str,
        content: bytes,
        fault: Fault,
    ) -> None:
        sent = 0
        while sent < len(content):
            if fault.kind and sent >= fault.after and await self._break(request, fault):
                return
            end = sent + _CHUNK
            if fault.kind and sent < fault.after:
                end = min(end, fault.after)
            piece = content[sent:end]
            if self.limit and self.sent() >= self.limit:
                await self.go_on.wait()
            await asyncio.sleep(self.pace)
            if fault.kind == "drip":
                await asyncio.sleep(_DRIP_SECONDS)
                piece = piece[:1]
            self.served[digest] += len(piece)
            sent += len(piece)
            await response.write(bytes(len(piece)) if fault.kind == "wrong" else piece)

    async def _break(self, request: web.Request, fault: Fault) -> bool:
        if fault.kind == "drop" and request.transport:
            request.transport.abort()
        if fault.kind == "stall":
            await self.go_on.wait()
        return fault.kind in ("drop", "stall", "short")


async def _in_two_pieces(request: web.Request, content: bytes) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(content[:10])
    await asyncio.sleep(0.1)
    await response.write(content[10:])
    return response


def _name(request: web.Request) -> str:
    info = request.match_info
    return f"{info['namespace']}/{info['model']}:{info.get('tag', '')}"


def _is_user(users: dict[str, str], header: str) -> bool:
    pairs = (f"{name}:{password}".encode() for name, password in users.items())
    return header in [f"Basic {base64.b64encode(pair).decode()}" for pair in pairs]


async def _start(
    routes: Iterable[web.RouteDef], tls: ssl.SSLContext | None = None
) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    return runner, f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"


@asynccontextmanager
async def running_hub(tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeHub]:
    """Start the three hosts on ports of their own."""
    hub = FakeHub()
    place = "/v2/{namespace}/{model}"
    registry, hub.url = await _start(
        [
            web.get(f"{place}/manifests/{{tag}}", hub.get_manifest),
            web.put(f"{place}/manifests/{{tag}}", hub.put_manifest),
            web.get(f"{place}/blobs/{{digest}}", hub.get_blob),
        ],
        tls,
    )
    files, hub.files_url = await _start([web.get("/files/{key}", hub.get_file)], tls)
    tokens, hub.tokens_url = await _start([web.get("/token", hub.get_token)], tls)
    try:
        yield hub
    finally:
        hub.go_on.set()
        for runner in (registry, files, tokens):
            await runner.cleanup()
