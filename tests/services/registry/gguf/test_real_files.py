"""The demo model as GGUF, read by us and by ggml's own reader."""

import json
from pathlib import Path

import pytest
from gguf import GGUFReader

from tests.gguf_files import write_gguf
from tests.services.registry.running import Registry

DEMO = Path(__file__).parents[4] / "examples" / "demo_model" / "model"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(DEMO, tmp_path_factory.mktemp("gguf") / "demo.gguf", "Q4_K")


@pytest.fixture(scope="module")
def whole(file: Path) -> dict[str, bytes]:
    return {"demo.gguf": file.read_bytes()}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("shards")
    write_gguf(DEMO, folder / "demo.gguf", "Q4_K", shard_bytes=500_000)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def source() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in DEMO.iterdir() if path.is_file()}


async def test_both_see_the_same(registry: Registry, file: Path, whole: dict[str, bytes]) -> None:
    await registry.create("demo", whole)
    shown = await registry.show("demo", verbose=True)
    info = json.loads(shown.model_info_json)
    reader = GGUFReader(file)
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.name":
            assert info[key] == pytest.approx(field.contents()), key
    assert [(it.name, it.type, list(it.shape)) for it in shown.tensors] == [
        (it.name, it.tensor_type.name, list(it.shape)) for it in reader.tensors
    ]
    assert info["general.parameter_count"] == sum(int(it.n_elements) for it in reader.tensors)


async def test_it_is_what_its_source_is(
    registry: Registry, whole: dict[str, bytes], source: dict[str, bytes]
) -> None:
    await registry.create("gguf", whole)
    await registry.create("source", source)
    ours, theirs = await registry.resolve("gguf"), await registry.resolve("source")
    assert ours.spec.capabilities == theirs.spec.capabilities
    assert ours.spec.details.parameter_size == theirs.spec.details.parameter_size
    assert ours.spec.details.context_length == theirs.spec.details.context_length
    assert (await registry.show("gguf")).template == (await registry.show("source")).template


async def test_its_shards_are_the_same_model(
    registry: Registry, whole: dict[str, bytes], shards: dict[str, bytes]
) -> None:
    assert len(shards) > 2
    await registry.create("sharded", shards)
    await registry.create("whole", whole)
    ours, theirs = await registry.resolve("sharded"), await registry.resolve("whole")
    assert ours.spec.details == theirs.spec.details
    assert ours.spec.capabilities == theirs.spec.capabilities
    assert len(ours.spec.files) == len(shards)
