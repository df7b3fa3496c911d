"""Pulls from a registry that behaves."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.errors import InvalidModel, InvalidName, InvalidRequest, RegistryFailed
from services.registry.remote.client import RemoteSettings
from tests.servers.fake_hub import CONFIG, FakeHub
from tests.services.registry.remote.pulling import RANGES, Lines, large_blob, pull, statuses
from tests.services.registry.running import Registry, digest_of, running_registry

LICENSE = b"MIT"
LARGE = digest_of(large_blob())


@pytest.fixture
async def registry(tmp_path: Path, settings: RemoteSettings) -> AsyncIterator[Registry]:
    async with running_registry(tmp_path / "models", remote=settings) as running:
        yield running


def short(content: bytes) -> str:
    return f"pulling {digest_of(content).removeprefix('sha256:')[:12]}"


async def test_a_model_is_stored_as_it_lies_in_the_registry(
    hub: FakeHub, registry: Registry
) -> None:
    manifest = hub.add_model("library/x:latest", large_blob(), LICENSE)
    lines = await pull(registry, "x")
    told = [short(large_blob()), short(LICENSE), short(CONFIG)]
    assert lines[0].status == "pulling manifest"
    assert {line.status for line in lines[1:-3]} == set(told)
    assert statuses(lines)[-3:] == ["verifying sha256 digest", "writing manifest", "success"]
    assert await registry.names() == ["x:latest"]
    assert registry.stored_blobs() == hub.blobs.keys()
    path = registry.folder / "manifests/registry.ollama.ai/library/x/latest"
    assert path.read_bytes() == manifest


async def test_each_layer_tells_how_far_it_is(hub: FakeHub, registry: Registry) -> None:
    hub.add_model("library/x:latest", large_blob(), LICENSE)
    lines = [line for line in await pull(registry, "x") if line.digest == LARGE]
    assert {line.total for line in lines} == {len(large_blob())}
    numbers = [line.completed for line in lines]
    assert numbers == sorted(numbers)
    assert numbers[-1] == len(large_blob())


async def test_lines_are_neither_few_nor_many(hub: FakeHub, registry: Registry) -> None:
    hub.add_model("library/x:latest", large_blob(), large_blob(2))
    hub.pace = 0.02
    started = time.monotonic()
    lines = await pull(registry, "x")
    elapsed = time.monotonic() - started
    assert len({line.completed for line in lines if line.digest == LARGE}) > 3
    assert len(lines) < 20 * elapsed + 12


async def test_a_large_blob_is_fetched_in_parallel_ranges(hub: FakeHub, registry: Registry) -> None:
    hub.add_model("library/x:latest", large_blob())
    await pull(registry, "x")
    asked = [seen.range for seen in hub.requests(LARGE) if seen.range]
    assert len(set(asked)) == RANGES + 1
    assert hub.served[LARGE] <= len(large_blob()) + 1


@pytest.mark.parametrize("status", [302, 307])
async def test_ranges_go_straight_to_where_the_registry_redirects(
    hub: FakeHub, registry: Registry, status: int
) -> None:
    hub.add_model("library/x:latest", large_blob())
    hub.redirect, hub.auth = status, "bearer"
    await pull(registry, "x")
    assert len(hub.requests(LARGE, host="registry")) <= 2
    assert {seen.authorization for seen in hub.requests(host="files")} == {""}
    assert registry.stored_blobs() == hub.blobs.keys()


async def test_a_registry_without_ranges_will_do(hub: FakeHub, registry: Registry) -> None:
    hub.add_model("library/x:latest", large_blob())
    hub.ranges = False
    await pull(registry, "x")
    assert registry.stored_blobs() == hub.blobs.keys()


async def test_only_what_has_changed_is_fetched(hub: FakeHub, registry: Registry) -> None:
    hub.add_model("library/x:latest", large_blob(), LICENSE)
    await pull(registry, "x")
    hub.seen.clear()
    hub.add_model("library/x:latest", large_blob(), b"another license")
    lines = await pull(registry, "x")
    asked = {seen.path.rpartition("/")[2] for seen in hub.seen}
    assert asked == {"latest", digest_of(b"another license")}
    assert "removing unused layers" in statuses(lines)
    assert digest_of(LICENSE) not in registry.stored_blobs()
    whole = next(line for line in lines if line.digest == LARGE)
    assert whole.completed == whole.total == len(large_blob())


async def test_a_model_that_is_up_to_date_gets_the_same_lines(
    hub: FakeHub, registry: Registry
) -> None:
    hub.add_model("library/x:latest", b"weights", LICENSE)
    await pull(registry, "x")
    hub.seen.clear()
    assert [line.status for line in await pull(registry, "x")] == [
        "pulling manifest",
        short(b"weights"),
        short(LICENSE),
        short(CONFIG),
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    assert len(hub.seen) == 1


async def test_pulls_of_one_model_share_one_download(hub: FakeHub, registry: Registry) -> None:
    hub.add_model("library/x:latest", large_blob())
    hub.limit = 1
    pulls = [asyncio.create_task(pull(registry, "x")) for _ in range(3)]
    while len(hub.requests("manifests")) < 3 or not hub.sent():
        await asyncio.sleep(0.01)
    hub.go_on.set()
    for lines in await asyncio.gather(*pulls):
        assert lines[-1].status == "success"
        assert max(line.completed for line in lines) == len(large_blob())
    assert hub.served[LARGE] <= len(large_blob()) + 1


async def test_a_download_goes_on_while_anybody_waits_for_it(
    hub: FakeHub, registry: Registry
) -> None:
    hub.add_model("library/x:latest", large_blob())
    hub.limit = 1
    told: tuple[Lines, Lines] = ([], [])
    leaving, staying = (asyncio.create_task(pull(registry, "x", into=lines)) for lines in told)
    while not all(any(line.digest == LARGE for line in lines) for lines in told):
        await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    hub.go_on.set()
    assert (await staying)[-1].status == "success"
    assert hub.served[LARGE] <= len(large_blob()) + 1


async def test_names_say_which_registry_they_belong_to(hub: FakeHub, registry: Registry) -> None:
    hub.add_model("ann/some.model:q4", b"weights")
    name = f"http://{hub.host}/Ann/Some.Model:q4"
    with pytest.raises(InvalidRequest, match=r"^insecure protocol http$"):
        await pull(registry, name)
    assert (await pull(registry, name, insecure=True))[-1].status == "success"
    assert await registry.names() == [f"{hub.host}/Ann/Some.Model:q4"]


@pytest.mark.parametrize("name", ["", "  ", "not a name", "a/b/c/d:e:f", "x:cloud"])
async def test_what_is_no_name_is_refused_before_the_first_line(
    registry: Registry, name: str
) -> None:
    with pytest.raises(InvalidName, match="invalid model name"):
        await pull(registry, name)


async def test_a_model_that_is_not_there_is_said_as_ollama_says_it(registry: Registry) -> None:
    with pytest.raises(RegistryFailed, match=r"^pull model manifest: file does not exist$"):
        await pull(registry, "none")
    assert await registry.names() == []


async def test_a_pull_over_a_slow_line_gets_further_each_time(
    hub: FakeHub, registry: Registry
) -> None:
    hub.add_model("library/x:latest", large_blob())
    hub.pace = 0.1  # a range takes three seconds
    farthest = 0
    for _ in range(2):
        pulling = asyncio.create_task(pull(registry, "x"))
        await asyncio.sleep(1.5)
        pulling.cancel()
        await asyncio.gather(pulling, return_exceptions=True)
        async with asyncio.timeout(10):
            while (status := await registry.blobs.write_status(LARGE, len(large_blob()))).busy:
                await asyncio.sleep(0.05)
        assert status.committed_size >= farthest + 1_000_000
        farthest = status.committed_size
    hub.pace = 0
    await pull(registry, "x")
    assert await registry.names() == ["x:latest"]


async def test_a_size_that_is_not_that_of_a_stored_blob(hub: FakeHub, registry: Registry) -> None:
    hub.add_model("library/x:latest", LICENSE)
    await pull(registry, "x")
    manifest = json.loads(hub.manifests["library/x:latest"])
    for size in (7, "3", True):
        manifest["layers"][0]["size"] = size
        hub.manifests["library/y:latest"] = json.dumps(manifest).encode()
        with pytest.raises(RegistryFailed):
            await pull(registry, "y")
    assert await registry.names() == ["x:latest"]


async def test_parameters_that_nobody_could_read(hub: FakeHub, registry: Registry) -> None:
    stops = json.dumps({"stop": ["a"] * 500_000}).encode()
    hub.add_model("library/x:latest", stops, kind="application/vnd.ollama.image.params")
    await pull(registry, "x")
    with pytest.raises(InvalidModel, match="larger than 1048576 bytes"):
        await registry.show("x")


@pytest.mark.parametrize("port", ["99999999", "x"])
async def test_a_redirect_to_no_port(hub: FakeHub, registry: Registry, port: str) -> None:
    hub.add_model("library/x:latest", LICENSE)
    hub.redirect, hub.redirect_to = 307, f"http://127.0.0.1:{port}/x"
    with pytest.raises(RegistryFailed, match="redirects to no URL"):
        await pull(registry, "x")
