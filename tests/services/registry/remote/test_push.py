"""Pushing to a real Docker registry, and what is pulled from it again."""

import asyncio
import base64
import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.errors import (
    BlobNotFound,
    InvalidRequest,
    ModelNotFound,
    RegistryFailed,
    Unauthorized,
)
from common.names import ModelName
from common.rpc import rpc_errors
from protos.paddock.v1 import registry_pb2
from services.registry.remote.client import RemoteSettings
from services.registry.remote.retries import RetryPolicy
from tests.servers.docker_registry import PASSWORD, USER, DockerRegistry, running_registry
from tests.servers.faulty_proxy import running_proxy
from tests.services.registry.model_folders import llama
from tests.services.registry.running import Registry, digest_of
from tests.services.registry.running import running_registry as running_paddock

PATIENCE = RetryPolicy(tries=3, first_pause=0.01)


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with running_registry(tmp_path_factory.mktemp("docker")) as running:
        yield running


@asynccontextmanager
async def paddock(folder: Path, auths: str = "") -> AsyncIterator[Registry]:
    settings = RemoteSettings(
        docker_config=folder / "docker", auths=auths, stall_timeout=2, retries=PATIENCE
    )
    async with running_paddock(folder, remote=settings) as running:
        yield running


async def push(registry: Registry, model: str, *, insecure: bool = True) -> list[str]:
    request = registry_pb2.PushRequest(model=model, insecure=insecure)
    with rpc_errors():
        return [progress.status async for progress in registry.stub.Push(request)]


async def pull(registry: Registry, model: str) -> list[str]:
    request = registry_pb2.PullRequest(model=model, insecure=True)
    with rpc_errors():
        return [progress.status async for progress in registry.stub.Pull(request)]


async def content(registry: Registry, model: str) -> bytes:
    stored = await registry.blobs.read_manifest(ModelName.parse(model))
    assert stored
    return stored.content


async def test_a_model_comes_back_byte_for_byte(docker: DockerRegistry, tmp_path: Path) -> None:
    name = f"http://{docker.host}/team/llama:v1"
    async with paddock(tmp_path / "here") as here, paddock(tmp_path / "there") as there:
        await here.create(f"{docker.host}/team/llama:v1", llama(), system="Be brief.")
        lines = await push(here, name)
        assert lines[0] == "retrieving manifest"
        assert lines[-2:] == ["pushing manifest", "success"]
        assert {line.split()[0] for line in lines[1:-2]} == {"pushing"}
        assert (await pull(there, name))[-1] == "success"
        assert await content(there, name) == await content(here, name)
        assert there.stored_blobs() == here.stored_blobs()
        assert (await there.show(f"{docker.host}/team/llama:v1")).system == "Be brief."


async def test_what_the_registry_has_is_not_sent(docker: DockerRegistry, tmp_path: Path) -> None:
    async with paddock(tmp_path) as here, running_proxy(docker.host) as proxy:
        base = f"{proxy.host}/diff/base:v1"
        await here.create(base, llama() | {"vocab.txt": b"a word\n" * 50_000})
        await push(here, f"http://{base}")
        sent = proxy.sent
        assert sent > 300_000
        await push(here, f"http://{base}")
        assert proxy.sent - sent < 50_000
        # Another repository takes over what that one has.
        child = f"{proxy.host}/diff/child:v1"
        await here.create_from(child, base, system="Be brief.")
        sent = proxy.sent
        await push(here, f"http://{child}")
        assert proxy.sent - sent < 50_000


async def test_an_upload_that_breaks_off_is_tried_again(
    docker: DockerRegistry, tmp_path: Path
) -> None:
    large = bytes(range(256)) * 80_000  # 20 MB
    async with paddock(tmp_path) as here, running_proxy(docker.host) as proxy:
        name = f"{proxy.host}/large/model:v1"
        await here.create(name, llama() | {"vocab.txt": large})
        proxy.cut_after(8_000_000)
        await push(here, f"http://{name}")
        assert proxy.cuts == 1
        assert proxy.sent > len(large)
        assert await docker_blob(docker, "large/model", here, large) == large


async def test_a_blob_that_is_lost_here_is_not_the_registrys_fault(
    docker: DockerRegistry, tmp_path: Path
) -> None:
    async with paddock(tmp_path) as here:
        name = f"{docker.host}/lost/model:v1"
        await here.create(name, llama(), system="Be brief.")
        here.lose(digest_of(b"Be brief."))
        with pytest.raises(BlobNotFound, match=digest_of(b"Be brief.")):
            await push(here, f"http://{name}")


async def test_a_parent_that_a_stranger_named_does_no_harm(tmp_path: Path) -> None:
    async with paddock(tmp_path) as here:
        nowhere = ModelName.parse("127.0.0.1:1/team/llama:v1")
        await here.create(str(nowhere), llama())
        manifest = json.loads(await content(here, str(nowhere)))
        for layer in manifest["layers"]:
            layer["from"] = "http://127.0.0.1:1/team/base"
        await here.blobs.write_manifest(nowhere, json.dumps(manifest).encode())
        with pytest.raises(RegistryFailed, match=r"the connection to 127\.0\.0\.1:1 failed"):
            await push(here, str(nowhere), insecure=False)


async def test_a_push_that_is_cancelled_goes_on(docker: DockerRegistry, tmp_path: Path) -> None:
    large = bytes(reversed(range(256))) * 80_000
    async with paddock(tmp_path) as here, running_proxy(docker.host) as proxy:
        name = f"{proxy.host}/cancelled/model:v1"
        await here.create(name, llama() | {"vocab.txt": large})
        proxy.hold_after(8_000_000)
        pushing = asyncio.create_task(push(here, f"http://{name}"))
        async with asyncio.timeout(10):
            await proxy.held.wait()
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        proxy.let_go()
        await asyncio.sleep(0.5)  # the part that is on its way arrives
        sent = proxy.sent
        await push(here, f"http://{name}")
        assert proxy.sent - sent < 0.4 * len(large)
        assert await docker_blob(docker, "cancelled/model", here, large) == large


async def test_with_a_password(tmp_path: Path) -> None:
    secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    with running_registry(tmp_path / "docker", password=True) as docker:
        auths = json.dumps({"auths": {docker.host: {"auth": secret}}})
        name = f"http://{docker.host}/team/llama:v1"
        async with paddock(tmp_path / "stranger") as stranger:
            await stranger.create(f"{docker.host}/team/llama:v1", llama())
            with pytest.raises(Unauthorized):
                await push(stranger, name)
        async with paddock(tmp_path / "here", auths) as here:
            await here.create(f"{docker.host}/team/llama:v1", llama())
            assert (await push(here, name))[-1] == "success"
            before = await content(here, name)
            await here.delete(f"{docker.host}/team/llama:v1")
            assert (await pull(here, name))[-1] == "success"
            assert await content(here, name) == before


async def test_what_cannot_be_pushed(docker: DockerRegistry, tmp_path: Path) -> None:
    async with paddock(tmp_path) as here:
        with pytest.raises(ModelNotFound, match="model 'nobody/knows' not found"):
            await push(here, "nobody/knows")
        with pytest.raises(InvalidRequest, match="model is required"):
            await push(here, " ")
        name = f"{docker.host}/team/llama"
        await here.create(name, llama())
        with pytest.raises(InvalidRequest, match="insecure protocol http"):
            await push(here, f"http://{name}", insecure=False)
        nowhere = "127.0.0.1:1/team/llama"
        await here.copy(name, nowhere)
        with pytest.raises(RegistryFailed):
            await push(here, nowhere)


async def docker_blob(
    docker: DockerRegistry, repository: str, here: Registry, wanted: bytes
) -> bytes:
    digest = (await here.blobs.write(wanted)).digest
    url = f"{docker.url}/v2/{repository}/blobs/{digest}"

    def read() -> bytes:
        with urllib.request.urlopen(url) as answer:
            found: bytes = answer.read()
            return found

    return await asyncio.to_thread(read)
