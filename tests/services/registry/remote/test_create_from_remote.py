"""Models made from others that have to be pulled first."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.errors import ModelNotFound
from services.registry import media_types
from services.registry.remote.client import RemoteSettings
from tests.servers.fake_hub import FakeHub
from tests.services.registry.model_folders import llama
from tests.services.registry.running import Registry, running_registry


@pytest.fixture
async def registry(tmp_path: Path, settings: RemoteSettings) -> AsyncIterator[Registry]:
    async with running_registry(tmp_path / "models", remote=settings) as running:
        yield running


async def publish(hub: FakeHub, registry: Registry, name: str) -> None:
    """Put a safetensors model into the hub, and leave nothing of it here."""
    await registry.create("original", llama())
    manifest = registry.folder / "manifests/registry.ollama.ai/library/original/latest"
    hub.manifests[name] = manifest.read_bytes()
    for path in (registry.folder / "blobs").iterdir():
        hub.add(path.read_bytes())
    await registry.delete("original")
    assert not registry.stored_blobs()


async def test_a_base_that_another_registry_has(hub: FakeHub, registry: Registry) -> None:
    await publish(hub, registry, "library/base:latest")
    lines = await registry.create_from("heir", "base", system="Be brief.")
    assert lines[0] == "pulling manifest"
    assert lines.count("success") == 1
    assert sorted(await registry.names()) == ["base:latest", "heir:latest"]
    assert (await registry.show("heir")).summary.details.parent_model == "base:latest"
    asked = len(hub.seen)
    await registry.create_from("another", "base")
    assert len(hub.seen) == asked


async def test_a_base_that_nobody_has(hub: FakeHub, registry: Registry) -> None:
    with pytest.raises(ModelNotFound, match=r"model 'base' not found.*file does not exist"):
        await registry.create_from("heir", "base")


async def test_a_base_that_is_damaged_on_its_way(hub: FakeHub, registry: Registry) -> None:
    await publish(hub, registry, "library/base:latest")
    manifest = json.loads(hub.manifests["library/base:latest"])
    [weights] = [
        layer["digest"]
        for layer in manifest["layers"]
        if layer["mediaType"] == media_types.WEIGHT_FILE
    ]
    assert hashlib.sha256(hub.blobs[weights]).hexdigest() == weights.removeprefix("sha256:")
    hub.blobs[weights] = hub.blobs[weights][::-1]
    with pytest.raises(Exception, match="digest mismatch"):
        await registry.create_from("heir", "base")
    assert await registry.names() == []
