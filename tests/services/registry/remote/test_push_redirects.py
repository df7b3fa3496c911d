"""Pushing to a registry that wants parts elsewhere, as Ollama's does."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

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
    parts: dict[str, list[bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    failures: int = 0
    """Parts that are still to be refused."""
    authorizations: set[str] = field(default_factory=set)

    async def head(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if request.match_info["digest"] in self.blobs else 404)

    async def begin(self, request: web.Request) -> web.Response:
        key = str(len(self.parts))
        self.parts[key] = []
        return web.Response(status=202, headers={"Location": f"/v2/uploads/{key}?step=0"})

    async def patch(self, request: web.Request) -> web.Response:
        assert request.headers["X-Redirect-Uploads"] == "1"
        key = request.match_info["key"]
        headers = {
            "Location": f"{self.url}/elsewhere/{key}",
            "Docker-Upload-Location": f"/v2/uploads/{key}?step={len(self.parts[key]) + 1}",
        }
        return web.Response(status=307, headers=headers)

    async def put_part(self, request: web.Request) -> web.Response:
        content = await request.read()
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        self.parts[request.match_info["key"]].append(content)
        return web.Response()

    async def commit(self, request: web.Request) -> web.Response:
        key, digest = request.match_info["key"], request.query["digest"]
        assert int(request.query["step"]) == len(self.parts[key])
        self.etags[digest] = request.query.get("etag", "")
        sums = b"".join(hashlib.md5(part).digest() for part in self.parts[key])
        wanted = f"{hashlib.md5(sums).hexdigest()}-{len(self.parts[key])}"
        if self.parts[key] and self.etags[digest] != wanted:
            return web.Response(status=400, text="etag mismatch")
        self.blobs[digest] = b"".join(self.parts[key])
        return web.Response(status=201)

    async def put_manifest(self, request: web.Request) -> web.Response:
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
    app.router.add_put("/elsewhere/{key}", fake.put_part)
    app.router.add_put("/v2/{name:.+}/manifests/{tag}", fake.put_manifest)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


@pytest.mark.parametrize("failures", [0, 1])
async def test_parts_go_where_the_registry_wants_them(
    redirecting: Redirecting, tmp_path: Path, failures: int
) -> None:
    redirecting.failures = failures
    large = bytes(range(256)) * 150_000  # three parts
    settings = RemoteSettings(
        default_registry=redirecting.url,
        docker_config=tmp_path / "docker",
        retries=RetryPolicy(tries=3, first_pause=0.01),
    )
    async with running_registry(tmp_path, remote=settings) as registry:
        await registry.create("me/x", llama() | {"vocab.txt": large})
        request = registry_pb2.PushRequest(model="me/x")
        with rpc_errors():
            lines = [line.status async for line in registry.stub.Push(request)]
        assert lines[-1] == "success"
        assert redirecting.blobs.keys() == registry.stored_blobs()
        assert redirecting.blobs[digest_of(large)] == large
        assert redirecting.etags[digest_of(large)].endswith("-3")
        manifest = tmp_path / "manifests/registry.ollama.ai/me/x/latest"
        assert redirecting.manifests["latest"] == manifest.read_bytes()
