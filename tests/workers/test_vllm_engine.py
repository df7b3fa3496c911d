"""The real engine with the demo model, in this process, one for all tests of the module."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from common.errors import InvalidRequest, LoadFailed, WorkerLost
from protos.paddock.v1 import generation_pb2, model_pb2
from tests.workers.conformance import EngineConformance, chat, run, text
from workers.engine import Engine, Prompt
from workers.vllm_factory import VllmFactory

DEMO = Path(__file__).parents[2] / "examples" / "demo_model" / "model"
GIBIBYTE = 1 << 30

pytestmark = pytest.mark.asyncio(loop_scope="module")


def spec_of(folder: Path) -> model_pb2.ModelSpec:
    files = [
        model_pb2.ModelFile(path=path.name, size=path.stat().st_size) for path in folder.iterdir()
    ]
    return model_pb2.ModelSpec(name="demo:latest", files=files, capabilities=["completion"])


async def start(factory: VllmFactory, folder: Path) -> Engine:
    spec = spec_of(folder)
    return await factory.start(spec, folder, factory.plan(spec, folder, 2 * GIBIBYTE))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def factory(tmp_path_factory: pytest.TempPathFactory) -> VllmFactory:
    failures = tmp_path_factory.mktemp("failures")
    return VllmFactory(failures, max_sequences=64, context_length=None, accelerator=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(factory: VllmFactory) -> AsyncIterator[Engine]:
    engine = await start(factory, DEMO)
    yield engine
    await engine.aclose()


def cores() -> list[psutil.Process]:
    """The engines' own processes, which the fork server started."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "EngineCore" in "".join(child.cmdline())]


class TestVllmEngine(EngineConformance):
    pass


async def test_the_demo_model_makes_sense(engine: Engine) -> None:
    steps = await run(engine, "What is the capital of France?", num_predict=-1)
    assert "Paris" in text(steps)
    assert steps[-1].reason == generation_pb2.FINISH_REASON_STOP


async def test_a_json_object(engine: Engine) -> None:
    generation = generation_pb2.Generation(format=generation_pb2.Format(json=True))
    generation.options.num_predict = 200
    generation.options.temperature = 0
    prompt = chat(engine, "Give me a JSON object with a name and an age.")
    steps = [step async for step in engine.generate(prompt, generation)]
    answer = text(steps)
    assert answer.startswith("{")
    if steps[-1].reason == generation_pb2.FINISH_REASON_STOP:
        assert isinstance(json.loads(answer), dict)


async def test_a_schema(engine: Engine) -> None:
    schema = {
        "type": "object",
        "properties": {"color": {"enum": ["red", "blue"]}, "sure": {"type": "boolean"}},
        "required": ["color", "sure"],
        "additionalProperties": False,
    }
    wanted = generation_pb2.Format(json_schema=json.dumps(schema))
    generation = generation_pb2.Generation(format=wanted)
    prompt = chat(engine, "What color is the sky?")
    steps = [step async for step in engine.generate(prompt, generation)]
    answer = json.loads(text(steps))
    assert answer["color"] in ("red", "blue")
    assert isinstance(answer["sure"], bool)


async def test_a_schema_that_is_none(engine: Engine) -> None:
    wanted = generation_pb2.Format(json_schema='{"type": "nonsense"}')
    with pytest.raises(InvalidRequest):
        async for _ in engine.generate(Prompt([1, 2, 3]), generation_pb2.Generation(format=wanted)):
            pass


async def test_seeds(engine: Engine) -> None:
    first, again, other = [
        text(await run(engine, temperature=2.0, seed=seed)) for seed in (1, 1, 2)
    ]
    assert first == again != other


async def test_logprobs(engine: Engine) -> None:
    generation = generation_pb2.Generation(logprobs=2)
    generation.options.num_predict = 3
    generation.options.temperature = 0
    steps = [step async for step in engine.generate(chat(engine), generation)]
    found = [logprob for step in steps for logprob in step.logprobs]
    assert len(found) == 3
    assert all(each.logprob <= 0 and len(each.alternatives) == 2 for each in found)
    best, second = found[0].alternatives
    assert (best.token, best.logprob) == (found[0].token, found[0].logprob)
    assert best.logprob >= second.logprob


async def test_a_model_without_sense_leaves_nothing_behind(
    engine: Engine, factory: VllmFactory, tmp_path: Path
) -> None:
    before = {core.pid for core in cores()}
    folder = tmp_path / "model"
    shutil.copytree(DEMO, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["Nonsense"]}))
    with pytest.raises(LoadFailed, match="Nonsense"):
        await start(factory, folder)
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 999}))
    with pytest.raises(LoadFailed, match=r"did not start: .*999"):
        await start(factory, folder)
    assert {core.pid for core in cores()} == before
    assert await run(engine)


async def test_two_engines_and_the_death_of_one(engine: Engine, factory: VllmFactory) -> None:
    before = {core.pid for core in cores()}
    second = await start(factory, DEMO)
    [core] = [core for core in cores() if core.pid not in before]
    endless = generation_pb2.Format(json_schema='{"type": "string", "minLength": 10000}')
    steps = second.generate(chat(second), generation_pb2.Generation(format=endless))
    await anext(steps)
    core.kill()
    with pytest.raises(WorkerLost):
        _ = [step async for step in steps]
    async with asyncio.timeout(2):
        await second.died()
    with pytest.raises(WorkerLost):
        await run(second)
    await second.aclose()
    assert await run(engine)


async def test_a_model_that_the_engine_dies_of_says_why(
    factory: VllmFactory, tmp_path: Path
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    shutil.copytree(DEMO, tmp_path, dirs_exist_ok=True)
    config = LlamaConfig(
        vocab_size=3072,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,  # of 16 dimensions each, which no kernel for the CPU has
        num_key_value_heads=4,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)  # type: ignore[no-untyped-call]
    with pytest.raises(LoadFailed, match="head_dim=16"):
        await start(factory, tmp_path)
