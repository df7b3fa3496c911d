"""Safetensors models from a hub like Hugging Face's, which cannot be reached from here."""

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from common.errors import InvalidModel, PaddockError, RegistryFailed, Unauthorized
from common.names import ModelName
from common.rpc import rpc_errors
from protos.paddock.v1 import registry_pb2
from services.registry.remote.client import RemoteSettings
from services.registry.remote.retries import RetryPolicy
from tests.services.registry.model_folders import llama
from tests.services.registry.running import Registry, running_registry

REVISIONS = {"main": "a" * 40, "v2": "b" * 40}
TOKEN = "hf_secret"


@dataclass
class Hub:
    """Repositories by revision, and what was asked for."""

    files: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    private: bool = False
    failures: int = 0
    """How often it has too much to do to describe a repository."""

    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)

    async def manifest(self, request: web.Request) -> web.Response:
        return web.json_response({"error": "Repository is not GGUF"}, status=400)

    async def describe(self, request: web.Request) -> web.Response:
        if self.failures:
            self.failures -= 1
            return web.json_response({"error": "busy"}, status=503)
        if refused := self._refusal(request):
            return refused
        revision = REVISIONS.get(request.match_info["revision"], "")
        if revision not in self.files:
            headers = {"X-Error-Code": "RevisionNotFound"}
            return web.json_response({"error": "Invalid rev"}, status=404, headers=headers)
        siblings = [_describe(path, content) for path, content in self.files[revision].items()]
        return web.json_response(
            {"id": "team/llama", "sha": revision, "siblings": siblings, "tags": []}
        )

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refusal(request):
            return refused
        path = request.match_info["path"]
        self.asked[path] += 1
        content = self.files[request.match_info["revision"]][path]
        return web.Response(body=content)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if not self.private or request.headers.get("Authorization") == f"Bearer {TOKEN}":
            return None
        headers = {"X-Error-Code": "GatedRepo"}
        return web.json_response({"error": "gated"}, status=401, headers=headers)


def _describe(path: str, content: bytes) -> dict[str, object]:
    found: dict[str, object] = {"rfilename": path, "size": len(content), "blobId": "0" * 40}
    if path.endswith(".safetensors"):
        digest = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
    return found


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub()
    app = web.Application()
    app.router.add_get("/v2/{name:.+}/manifests/{tag}", hub.manifest)
    app.router.add_get("/api/models/team/llama/revision/{revision}", hub.describe)
    app.router.add_get("/team/llama/resolve/{revision}/{path:.+}", hub.resolve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield hub
    await runner.cleanup()


@asynccontextmanager
async def paddock(folder: Path, hub: Hub, token: str = "") -> AsyncIterator[Registry]:
    settings = RemoteSettings(
        hub=hub.url,
        hub_token=token,
        docker_config=folder / "docker",
        retries=RetryPolicy(tries=2, first_pause=0.01),
        manifest_retries=RetryPolicy(tries=2, first_pause=0.01),
    )
    async with running_registry(folder, remote=settings) as running:
        yield running


async def pull(registry: Registry, model: str) -> list[str]:
    request = registry_pb2.PullRequest(model=model)
    with rpc_errors():
        return [progress.status async for progress in registry.stub.Pull(request)]


async def test_a_repository_of_safetensors(hub: Hub, tmp_path: Path) -> None:
    extra = {"README.md": b"# A llama", ".gitattributes": b"x", "pytorch_model.bin": b"no"}
    hub.files[REVISIONS["main"]] = llama() | extra
    async with paddock(tmp_path, hub) as registry:
        lines = await pull(registry, "hf.co/team/llama")
        assert (lines[0], lines[-1]) == ("pulling manifest", "success")
        shown = await registry.show("hf.co/team/llama")
        assert shown.summary.details.format == "safetensors"
        assert shown.summary.details.family == "llama"
        assert "pytorch_model.bin" not in hub.asked
        paths = {file.path for file in (await registry.resolve("hf.co/team/llama")).spec.files}
        assert {"config.json", "model.safetensors"} <= paths
        stored = await registry.blobs.read_manifest(ModelName.parse("hf.co/team/llama"))
        assert stored
        annotations = json.loads(stored.content)["annotations"]
        assert annotations["org.opencontainers.image.revision"] == REVISIONS["main"]
        assert annotations["org.opencontainers.image.source"] == f"{hub.url}/team/llama"


async def test_only_what_is_new_is_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.files[REVISIONS["main"]] = llama()
    hub.files[REVISIONS["v2"]] = llama() | {"README.md": b"# The second"}
    async with paddock(tmp_path, hub) as registry:
        await pull(registry, "hf.co/team/llama")
        await pull(registry, "hf.co/team/llama:v2")
        assert hub.asked["model.safetensors"] == 1
        assert sorted(await registry.names()) == ["hf.co/team/llama:latest", "hf.co/team/llama:v2"]


async def test_a_repository_for_those_who_are_known(hub: Hub, tmp_path: Path) -> None:
    hub.private = True
    hub.files[REVISIONS["main"]] = llama()
    async with paddock(tmp_path / "stranger", hub) as registry:
        with pytest.raises(Unauthorized):
            await pull(registry, "hf.co/team/llama")
    async with paddock(tmp_path / "friend", hub, TOKEN) as registry:
        assert (await pull(registry, "hf.co/team/llama"))[-1] == "success"


async def test_a_hub_that_has_too_much_to_do_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.files[REVISIONS["main"]] = llama()
    async with paddock(tmp_path, hub) as registry:
        hub.failures = 1
        assert (await pull(registry, "hf.co/team/llama"))[-1] == "success"
        hub.failures = 100
        with pytest.raises(RegistryFailed, match=r"^pull model manifest: max retries exceeded"):
            await pull(registry, "hf.co/team/llama:v2")


async def test_what_cannot_be_pulled(hub: Hub, tmp_path: Path) -> None:
    hub.files[REVISIONS["main"]] = {"README.md": b"nothing here"}
    async with paddock(tmp_path, hub) as registry:
        with pytest.raises(RegistryFailed, match=r"^pull model manifest: file does not exist$"):
            await pull(registry, "hf.co/team/llama:nonsense")
        with pytest.raises(RegistryFailed, match="file does not exist"):
            await pull(registry, "hf.co/team/unknown")
        with pytest.raises(InvalidModel):
            await pull(registry, "hf.co/team/llama")
        hub.files[REVISIONS["main"]] = llama() | {"../escape.json": b"{}"}
        with pytest.raises(PaddockError):
            await pull(registry, "hf.co/team/llama")
        assert await registry.names() == []
