"""Pulls from Hugging Face, over TLS, and beside other processes that pull the same."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import RegistryFailed
from common.names import ModelName
from protos.paddock.v1 import registry_pb2
from services.registry.catalog import Catalog
from services.registry.contents import Contents
from services.registry.remote.client import RemoteClient, RemoteSettings
from services.registry.remote.pull import Puller
from services.registry.remote.window import RANGE_SIZE
from tests.servers.fake_hub import FakeHub, running_hub
from tests.services.registry.remote.pulling import large_blob, pull, statuses
from tests.services.registry.running import Registry, digest_of, running_registry

LARGE = digest_of(large_blob())
NO_GGUF = '{"error":"Repository is not GGUF or is not compatible with llama.cpp"}'
SHARDED = '{"error":"The specified repository contains sharded GGUF."}'


@pytest.fixture
async def registry(tmp_path: Path, settings: RemoteSettings) -> AsyncIterator[Registry]:
    async with running_registry(tmp_path / "models", remote=settings) as running:
        yield running


class FakeHubClient:
    """The other way to repositories of Hugging Face."""

    def __init__(self) -> None:
        self.pulled: list[str] = []

    async def pull(
        self, name: ModelName, *, insecure: bool
    ) -> AsyncGenerator[registry_pb2.Progress, None]:
        self.pulled.append(str(name))
        yield registry_pb2.Progress(status="pulling by another way")


async def lines(puller: Puller, model: str) -> list[registry_pb2.Progress]:
    return [line async for line in puller.pull(model, insecure=False)]


async def test_gguf_of_hugging_face_comes_by_the_same_protocol(
    hub: FakeHub, registry: Registry
) -> None:
    hub.add_model("Ann/X-GGUF:Q8_0", b"weights")
    assert (await pull(registry, "hf.co/Ann/X-GGUF:Q8_0"))[-1].status == "success"
    assert await registry.names() == ["hf.co/Ann/X-GGUF:Q8_0"]


async def test_the_token_goes_to_hugging_face_only(
    hub: FakeHub, settings: RemoteSettings, registry: Registry
) -> None:
    hub.add_model("a/b:latest", b"weights")
    hub.redirect = 302
    async with RemoteClient(replace(settings, hub_token="hf_secret")) as client:
        puller = Puller(registry.blobs, Contents(registry.blobs), Catalog(registry.blobs), client)
        await lines(puller, "hf.co/a/b")
        assert {seen.authorization for seen in hub.requests(host="registry")} == {
            "Bearer hf_secret"
        }
        assert {seen.authorization for seen in hub.requests(host="files")} == {""}
        hub.seen.clear()
        await lines(puller, "a/b")
    assert {seen.authorization for seen in hub.seen} == {""}


async def test_a_repository_without_gguf_is_got_by_the_other_way(
    hub: FakeHub, client: RemoteClient, registry: Registry
) -> None:
    hub.manifest_status, hub.manifest_text = 400, NO_GGUF
    other = FakeHubClient()
    puller = Puller(
        registry.blobs, Contents(registry.blobs), Catalog(registry.blobs), client, other
    )
    assert statuses(await lines(puller, "hf.co/a/b")) == [
        "pulling manifest",
        "pulling by another way",
        "success",
    ]
    assert other.pulled == ["hf.co/a/b:latest"]


@pytest.mark.parametrize("text", [NO_GGUF, SHARDED])
async def test_what_hugging_face_refuses_is_told(
    hub: FakeHub, client: RemoteClient, registry: Registry, text: str
) -> None:
    hub.manifest_status, hub.manifest_text = 400, text
    puller = Puller(registry.blobs, Contents(registry.blobs), Catalog(registry.blobs), client)
    with pytest.raises(RegistryFailed, match=r"^pull model manifest: 400: .*GGUF"):
        await lines(puller, "hf.co/a/b")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate that nobody vouches for."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def test_only_insecure_takes_a_certificate_that_nobody_vouches_for(
    tls: ssl.SSLContext, registry: Registry
) -> None:
    async with running_hub(tls) as hub:
        hub.add_model("a/b:latest", b"weights")
        with pytest.raises(RegistryFailed, match="certificate"):
            await pull(registry, f"{hub.host}/a/b")
        assert (await pull(registry, f"{hub.host}/a/b", insecure=True))[-1].status == "success"


async def other_pull(registry: Registry, settings: RemoteSettings) -> list[registry_pb2.Progress]:
    """Pull as another registry over the same store would."""
    async with RemoteClient(settings) as client:
        return await lines(
            Puller(registry.blobs, Contents(registry.blobs), Catalog(registry.blobs), client), "x"
        )


async def begin(hub: FakeHub, registry: Registry) -> "asyncio.Task[list[registry_pb2.Progress]]":
    """Begin a pull that comes as far as two ranges."""
    hub.add_model("library/x:latest", large_blob())
    hub.limit = 2 * RANGE_SIZE
    pulling = asyncio.create_task(pull(registry, "x"))
    async with asyncio.timeout(10):
        while hub.sent() < hub.limit:
            await asyncio.sleep(0.01)
    return pulling


async def test_what_another_process_is_fetching_is_not_fetched_twice(
    hub: FakeHub, settings: RemoteSettings, registry: Registry
) -> None:
    first = await begin(hub, registry)
    second = asyncio.create_task(other_pull(registry, replace(settings, stall_timeout=30)))
    await asyncio.sleep(0.3)
    hub.go_on.set()
    told = [line for line in await second if line.digest == LARGE]
    assert max(line.completed for line in told) == len(large_blob())
    assert (await first)[-1].status == "success"
    assert hub.served[LARGE] <= len(large_blob()) + 2


async def test_a_process_that_stands_still_is_not_waited_for(
    hub: FakeHub, settings: RemoteSettings, tmp_path: Path
) -> None:
    patient = replace(settings, stall_timeout=60)
    async with (
        running_registry(tmp_path / "models", remote=patient) as registry,
        running_hub() as healthy,
    ):
        healthy.add_model("library/x:latest", large_blob())
        first = await begin(hub, registry)
        second = await other_pull(registry, replace(settings, default_registry=healthy.url))
        assert second[-1].status == "success"
        hub.go_on.set()
        assert (await first)[-1].status == "success"
        assert await registry.names() == ["x:latest"]
