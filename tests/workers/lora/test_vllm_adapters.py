"""Adapters on the real engine: what they make the demo model say is what a merged one says."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from common.errors import LoadFailed
from protos.paddock.v1 import generation_pb2, model_pb2
from tests.gguf_adapters import make_gguf_adapter
from tests.lora_adapters import as_float32, make_adapter, merge_adapter
from tests.workers.conformance import asked, assert_goes_on
from tests.workers.folders import spec_of
from workers.engine import Engine, Prompt
from workers.lora.conversion import convert_adapter
from workers.vllm_factory import VllmFactory

DEMO = Path(__file__).parents[3] / "examples" / "demo_model" / "model"
GIBIBYTE = 1 << 30
LENGTH = 40

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Folders:
    """The base model, and adapters of it."""

    base: Path
    one: Path
    two: Path


def with_adapter(folder: Path, rank: int) -> model_pb2.ModelSpec:
    spec = spec_of(folder, "completion")
    spec.adapter.rank = rank
    return spec


async def start(factory: VllmFactory, spec: model_pb2.ModelSpec, folder: Path) -> Engine:
    return await factory.start(spec, folder, factory.plan(spec, folder, 2 * GIBIBYTE))


async def say(engine: Engine, first: int = 5) -> str:
    options = generation_pb2.Options(num_predict=LENGTH, temperature=0)
    steps = engine.generate(
        Prompt([first, *range(100, 400)]), generation_pb2.Generation(options=options)
    )
    return "".join([step.text async for step in steps])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("adapters")
    base = as_float32(Path(shutil.copytree(DEMO, root / "base")))
    one = make_adapter(root / "one", base, seed=1, rank=8, alpha=16)
    two = make_adapter(root / "two", base, seed=2, rank=3, alpha=9)
    return Folders(base, one, two)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def factory(failures: Path) -> VllmFactory:
    return VllmFactory(
        failures, max_sequences=16, context_length=None, accelerator=False, max_adapters=2
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(factory: VllmFactory, folders: Folders) -> AsyncIterator[Engine]:
    engine = await start(factory, with_adapter(folders.base, 8), folders.base)
    yield engine
    await engine.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def merged(
    factory: VllmFactory, folders: Folders, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What the base model and the two merged ones say, each served plainly."""
    root = tmp_path_factory.mktemp("merged")
    models = {
        "base": folders.base,
        "one": merge_adapter(root / "one", folders.base, folders.one),
        "two": merge_adapter(root / "two", folders.base, folders.two),
    }
    said = {}
    for name, folder in models.items():
        plain = await start(factory, spec_of(folder, "completion"), folder)
        said[name] = await say(plain)
        await plain.aclose()
    assert len(set(said.values())) == len(said)
    return said


async def test_each_alone(engine: Engine, folders: Folders, merged: dict[str, str]) -> None:
    assert await say(engine) == merged["base"]
    assert await say(await engine.adapt("one", folders.one)) == merged["one"]
    assert await say(await engine.adapt("two", folders.two)) == merged["two"]
    assert await say(engine) == merged["base"]


async def test_all_at_once(engine: Engine, folders: Folders, merged: dict[str, str]) -> None:
    engines = {
        "base": engine,
        "one": await engine.adapt("one", folders.one),
        "two": await engine.adapt("two", folders.two),
    }
    names = [name for name in engines for _ in range(4)]
    said = await asyncio.gather(*(say(engines[name]) for name in names))
    assert said == [merged[name] for name in names]


async def test_going_on_with_an_adapter(engine: Engine, folders: Folders) -> None:
    adapted = await engine.adapt("one", folders.one)
    prompt = Prompt([5, *range(100, 400)])
    await assert_goes_on(adapted, prompt, asked(num_predict=LENGTH), range(0, LENGTH, 3))


async def test_more_adapters_than_places(
    engine: Engine, folders: Folders, merged: dict[str, str], tmp_path: Path
) -> None:
    one = await engine.adapt("one", folders.one)
    others = [
        await engine.adapt(f"other {seed}", make_adapter(tmp_path / str(seed), DEMO, seed=seed))
        for seed in range(3, 7)
    ]
    alone = [await say(found) for found in (*others, one)]
    assert alone[-1] == merged["one"]
    assert len(set(alone)) > 3
    assert await asyncio.gather(*(say(found) for found in (*others, one))) == alone


async def test_a_gguf_adapter_says_what_the_original_says(
    engine: Engine, folders: Folders, merged: dict[str, str], tmp_path: Path
) -> None:
    made = make_gguf_adapter(tmp_path / "adapter.gguf", folders.one, heads=4, key_heads=2)
    converted = tmp_path / "converted"
    converted.mkdir()
    convert_adapter(made, folders.base, converted)
    assert await say(await engine.adapt("from gguf", converted)) == merged["one"]


async def test_a_bad_adapter_is_refused_and_the_engine_lives(
    engine: Engine, folders: Folders, merged: dict[str, str], tmp_path: Path
) -> None:
    large = make_adapter(tmp_path / "large", DEMO, rank=32)
    with pytest.raises(LoadFailed, match="LoRA rank 32 is greater than max_lora_rank 16"):
        await engine.adapt("large", large)
    damaged = make_adapter(tmp_path / "damaged", DEMO)
    (damaged / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(LoadFailed, match="the engine refused the adapter"):
        await engine.adapt("damaged", damaged)
    with pytest.raises(LoadFailed, match="the engine refused the adapter"):
        await engine.adapt("gone", tmp_path / "gone")
    assert engine.alive
    assert await say(engine) == merged["base"]


async def test_one_process_for_all(engine: Engine, folders: Folders) -> None:
    await engine.adapt("one", folders.one)
    await engine.adapt("two", folders.two)
    children = psutil.Process().children(recursive=True)
    assert sum("EngineCore" in "".join(child.cmdline()) for child in children) == 1


async def test_an_engine_without_places_refuses_adapters(
    factory: VllmFactory, folders: Folders
) -> None:
    plain = await start(factory, spec_of(folders.base, "completion"), folders.base)
    with pytest.raises(LoadFailed, match="LoRA is not enabled"):
        await plain.adapt("one", folders.one)
    assert plain.alive
    await plain.aclose()
