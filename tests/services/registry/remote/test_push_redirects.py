"""Pushing to a registry that wants parts elsewhere, as Ollama's does."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from common.errors import RegistryFailed
from common.rpc import rpc_errors
from protos.paddock.v1 import registry_pb2
from services.registry.remote.client import RemoteSettings
from services.registry.remote.retries import RetryPolicy
from tests.services.registry.model_folders import llama
from tests.services.registry.running import digest_of, running_registry


@dataclass
class Redirecting:
    """A registry, and the place where it wants parts to be put."""

    url: str = ""
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """Of each upload, by their numbers."""
    wanted: dict[str, int] = field(default_factory=dict)
    """Parts of each upload that it wants elsewhere."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    failures: int = 0
    """Parts that are still to be refused."""
    seconds: float = 0.0
    """That a part takes."""
    at_once: int = 0
    most_at_once: int = 0
    manifest_stalls: int = 0
    """Manifests that are still to be left unanswered."""

    async def head(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if request.match_info["digest"] in self.blobs else 404)

    async def begin(self, request: web.Request) -> web.Response:
        key = str(len(self.parts))
        self.parts[key] = {}
        self.wanted[key] = 0
        return web.Response(status=202, headers={"Location": f"/v2/uploads/{key}?step=0"})

    async def patch(self, request: web.Request) -> web.Response:
        assert request.headers["X-Redirect-Uploads"] == "1"
        key = request.match_info["key"]
        number = self.wanted[key]
        assert int(request.query["step"]) == number
        self.wanted[key] += 1
        headers = {
            "Location": f"/elsewhere/{key}/{number}",
            "Docker-Upload-Location": f"/v2/uploads/{key}?step={number + 1}",
        }
        return web.Response(status=307, headers=headers)

    async def put_part(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        content = await request.read()
        await asyncio.sleep(self.seconds)
        self.at_once -= 1
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        self.parts[request.match_info["key"]][int(request.match_info["number"])] = content
        return web.Response()

    async def commit(self, request: web.Request) -> web.Response:
        key, digest = request.match_info["key"], request.query["digest"]
        assert int(request.query["step"]) == self.wanted[key]
        self.etags[digest] = request.query.get("etag", "")
        parts = [self.parts[key][number] for number in range(self.wanted[key])]
        sums = b"".join(hashlib.md5(part).digest() for part in parts)
        wanted = f"{hashlib.md5(sums).hexdigest()}-{len(parts)}"
        if parts and self.etags[digest] != wanted:
            return web.Response(status=400, text="etag mismatch")
        self.blobs[digest] = b"".join(parts)
        return web.Response(status=201)

    async def put_manifest(self, request: web.Request) -> web.Response:
        if self.manifest_stalls:
            self.manifest_stalls -= 1
            await asyncio.sleep(60)
        self.manifests[request.match_info["tag"]] = await request.read()
        return web.Response(status=201)


@pytest.fixture
async def redirecting() -> AsyncIterator[Redirecting]:
    fake = Redirecting()
    app = web.Application(client_max_size=2**30)
    app.router.add_head("/v2/{name:.+}/blobs/{digest}", fake.head)
    app.router.add_post("/v2/{name:.+}/blobs/uploads/", fake.begin)
    app.router.add_patch("/v2/uploads/{key}", fake.patch)
    app.router.add_put("/v2/uploads/{key}", fake.commit)
    app.router.add_put("/elsewhere/{key}/{number}", fake.put_part)
    app.router.add_put("/v2/{name:.+}/manifests/{tag}", fake.put_manifest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


LARGE = bytes(range(256)) * 150_000  # three parts


async def push(redirecting: Redirecting, folder: Path) -> tuple[list[str], set[str]]:
    """Push a model with a large file; give the lines, and the blobs of the store."""
    settings = RemoteSettings(
        default_registry=redirecting.url,
        docker_config=folder / "docker",
        stall_timeout=1,
        retries=RetryPolicy(tries=3, first_pause=0.01),
    )
    async with running_registry(folder, remote=settings) as registry:
        await registry.create("me/x", llama() | {"vocab.txt": LARGE})
        request = registry_pb2.PushRequest(model="me/x")
        with rpc_errors():
            lines = [line async for line in registry.stub.Push(request)]
        assert all(line.completed <= line.total for line in lines)
        return [line.status for line in lines], registry.stored_blobs()


@pytest.mark.parametrize("failures", [0, 2])
async def test_parts_go_where_the_registry_wants_them(
    redirecting: Redirecting, tmp_path: Path, failures: int
) -> None:
    redirecting.failures = failures
    lines, stored = await push(redirecting, tmp_path)
    assert lines[-1] == "success"
    assert redirecting.blobs.keys() == stored
    assert redirecting.blobs[digest_of(LARGE)] == LARGE
    assert redirecting.etags[digest_of(LARGE)].endswith("-3")
    manifest = tmp_path / "manifests/registry.ollama.ai/me/x/latest"
    assert redirecting.manifests["latest"] == manifest.read_bytes()


async def test_parts_go_elsewhere_side_by_side(redirecting: Redirecting, tmp_path: Path) -> None:
    redirecting.seconds = 0.6
    lines, _ = await push(redirecting, tmp_path)
    assert lines[-1] == "success"
    # Small files have one part each, and are pushed side by side as well.
    large = [key for key, count in redirecting.wanted.items() if count == 3]
    assert len(large) == 1
    assert redirecting.most_at_once > len(redirecting.wanted)


async def test_a_part_that_is_refused_each_time_is_given_up(
    redirecting: Redirecting, tmp_path: Path
) -> None:
    redirecting.failures = 1000
    with pytest.raises(RegistryFailed, match=r"^max retries exceeded: 503"):
        await push(redirecting, tmp_path)
    assert not redirecting.manifests


async def test_a_manifest_that_is_not_answered_is_pushed_again(
    redirecting: Redirecting, tmp_path: Path
) -> None:
    redirecting.manifest_stalls = 1
    async with asyncio.timeout(20):
        lines, _ = await push(redirecting, tmp_path)
    assert lines[-1] == "success"
    assert "latest" in redirecting.manifests
