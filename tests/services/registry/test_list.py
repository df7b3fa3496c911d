"""The list of models: what is in it, and what it takes to make it again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.derived import derived_name
from common.errors import ModelNotFound, Unsupported
from common.names import ModelName
from services.registry.manifest import Descriptor, Manifest
from services.registry.media_types import CONFIG
from services.registry.model_config import ModelConfig
from store.folder import FolderStore
from store.interface import Manifest as StoredManifest
from tests.services.registry.running import (
    CountingBlobServicer,
    Registry,
    blob_path,
    running_registry,
)

MANY = 450  # more than two pages


class CountingStore(FolderStore):
    """Counts how often manifests are listed, and how many are read by their names."""

    listings = 0
    reads = 0

    def list_manifests(self) -> Iterator[StoredManifest]:
        self.listings += 1
        yield from super().list_manifests()

    def read_manifest(self, name: ModelName) -> StoredManifest:
        self.reads += 1
        return super().read_manifest(name)


async def add(registry: Registry, name: str, size: str = "") -> str:
    """Write a model that is nothing but a config blob; give that blob's digest."""
    config = await registry.blobs.write(ModelConfig(model_family=name, model_type=size).encode())
    described = Descriptor(media_type=CONFIG, digest=config.digest, size=config.size)
    await registry.blobs.write_manifest(ModelName.parse(name), Manifest(config=described).encode())
    return config.digest


async def families(registry: Registry) -> dict[str, str]:
    return {model.name: model.details.family for model in await registry.listed()}


async def test_many_models_are_listed_newest_first_and_read_once(registry: Registry) -> None:
    await asyncio.gather(*(add(registry, f"model-{number}:1") for number in range(MANY)))
    first = await registry.listed()
    assert {model.name: model.details.family for model in first} == {
        f"model-{number}:1": f"model-{number}:1" for number in range(MANY)
    }
    times = [model.modified_at.ToNanoseconds() for model in first]
    assert times == sorted(times, reverse=True)
    assert len(registry.blob_service.reads) == MANY
    assert await registry.listed() == first
    assert len(registry.blob_service.reads) == MANY


async def test_only_what_is_new_is_read(registry: Registry) -> None:
    for number in range(5):
        await add(registry, f"model-{number}:1")
    await families(registry)
    registry.blob_service.reads.clear()
    new = await add(registry, "a-new-one:1")
    await registry.blobs.delete_manifest(ModelName.parse("model-1:1"))
    assert set(await families(registry)) == {
        "a-new-one:1", "model-0:1", "model-2:1", "model-3:1", "model-4:1",
    }  # fmt: skip
    assert registry.blob_service.reads == [new]


async def test_a_replaced_model_is_shown_as_it_is_now(registry: Registry) -> None:
    await add(registry, "model:1")
    assert (await registry.listed())[0].details.parameter_size == ""
    await add(registry, "model:1", size="8B")
    assert (await registry.listed())[0].details.parameter_size == "8B"


async def test_a_copy_has_its_own_name_and_time(registry: Registry) -> None:
    await add(registry, "model:1")
    await asyncio.sleep(0.02)
    await registry.copy("model:1", "copy:1")
    copy, model = await registry.listed()
    assert (copy.name, model.name) == ("copy:1", "model:1")
    assert copy.digest == model.digest


async def test_details_come_back_with_what_they_are_read_from(registry: Registry) -> None:
    digest = await add(registry, "model:1")
    path = blob_path(registry.folder, digest)
    content = path.read_bytes()
    path.unlink()
    assert await families(registry) == {"model:1": ""}
    path.write_bytes(content)
    assert await families(registry) == {"model:1": "model:1"}


async def test_what_is_no_model_is_left_out(registry: Registry) -> None:
    digest = await add(registry, "model:1")
    config = Descriptor(media_type=CONFIG, digest=digest, size=1)
    await registry.blobs.write_manifest(
        derived_name("1" * 64, "maker"), Manifest(config=config).encode()
    )
    await registry.blobs.write_manifest(ModelName.parse("damaged:1"), b'{"layers": []}')
    for _ in range(2):
        assert set(await families(registry)) == {"model:1"}


async def test_lookups_list_nothing_and_read_one_manifest(tmp_path: Path) -> None:
    """Whether a name is stored, spelled otherwise or unknown, however many there are."""
    store = CountingStore(tmp_path)
    async with running_registry(tmp_path, store=store) as registry:
        await asyncio.gather(*(add(registry, f"Model-{number}:1") for number in range(50)))
        store.reads = store.listings = 0
        await registry.show("Model-7:1")
        assert store.reads == 1
        assert (await registry.show("mODEL-7:1")).summary.name == "Model-7:1"
        assert store.reads == 3
        for ask in (registry.show, registry.resolve, registry.delete):
            with pytest.raises(ModelNotFound):
                await ask("nobody")
        assert store.reads == 6
        assert store.listings == 0


class Older(CountingBlobServicer):
    """A service that reads blobs one by one alone, as during an update."""

    async def ReadMany(self, request, context):  # type: ignore[no-untyped-def]
        raise Unsupported("unknown")
        yield


async def test_what_cannot_be_read_at_once_is_read_one_by_one(tmp_path: Path) -> None:
    async with running_registry(tmp_path, blob_service=Older(tmp_path)) as registry:
        for number in range(3):
            await add(registry, f"model-{number}:1")
        assert set((await families(registry)).values()) == {"model-0:1", "model-1:1", "model-2:1"}
        assert len(registry.blob_service.reads) == 3
