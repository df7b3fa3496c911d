"""The real engine with the demo model, in this process, one for all tests of the module."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from common.errors import InvalidRequest, LoadFailed, WorkerLost
from protos.paddock.v1 import generation_pb2, model_pb2
from tests.workers.conformance import EngineConformance, chat, run, text
from workers.engine import Engine, Occupancy, Prompt, Step
from workers.prompt import render
from workers.vllm_factory import VllmFactory

DEMO = Path(__file__).parents[2] / "examples" / "demo_model" / "model"
GIBIBYTE = 1 << 30
HOT: dict[str, Any] = {"temperature": 2.0, "top_k": 0, "top_p": 1.0}

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
async def factory(failures: Path) -> VllmFactory:
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


async def test_how_full_it_is(engine: Engine) -> None:
    """More run at once than have a place; when all were left, there is no step that tells."""
    tasks = [asyncio.create_task(run(engine, num_predict=-1)) for _ in range(80)]
    async with asyncio.timeout(10):
        while engine.occupancy.running < 64:
            await asyncio.sleep(0.01)
    assert 0 < engine.occupancy.cache <= 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert engine.occupancy == Occupancy(0, 0.0)


async def test_the_demo_model_fills_in_the_middle(engine: Engine) -> None:
    completion = generation_pb2.Completion(
        prompt="def compute_gcd(a, b):\n", suffix="\n    return result"
    )
    generation = generation_pb2.Generation(completion=completion)
    generation.options.temperature = 0
    prompt = render(engine, model_pb2.ModelSpec(name="demo:latest"), generation)
    answer = text([step async for step in engine.generate(prompt, generation)])
    assert "while b:" in answer
    assert "result = a" in answer
    assert "return" not in answer


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


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "uniqueItems": True},
        {"type": "object", "properties": {"p": {"type": "string", "format": "path"}}},
        {"type": "object", "properties": {"n": {"type": "integer", "not": {"const": 3}}}},
    ],
    ids=str,
)
async def test_what_a_schema_asks_for_in_vain_is_left_out(
    engine: Engine, schema: dict[str, object]
) -> None:
    wanted = generation_pb2.Format(json_schema=json.dumps(schema))
    generation = generation_pb2.Generation(format=wanted)
    generation.options.num_predict = 30
    steps = [step async for step in engine.generate(chat(engine, "Hi"), generation)]
    assert text(steps).startswith("[" if schema["type"] == "array" else "{")


async def test_a_schema_that_is_none(engine: Engine) -> None:
    wanted = generation_pb2.Format(json_schema='{"type": "nonsense"}')
    with pytest.raises(InvalidRequest):
        async for _ in engine.generate(Prompt([1, 2, 3]), generation_pb2.Generation(format=wanted)):
            pass


async def test_seeds(engine: Engine) -> None:
    first, again, other = [text(await run(engine, **HOT, seed=seed)) for seed in (1, 1, 2)]
    assert first == again != other
    assert text(await run(engine, **HOT)) != text(await run(engine, **HOT))


@pytest.mark.parametrize("options", [HOT, {"temperature": 0.0}], ids=["hot", "greedy"])
async def test_an_answer_is_the_same_alone_and_in_a_crowd(
    engine: Engine, options: dict[str, Any]
) -> None:
    """So many and so long that prompts are computed in parts, some from the prefix cache."""
    prompts = ["Who are you?", "Tell me a story. " * 20, "a b c " * 60]
    alone = [text(await run(engine, prompt, **options, seed=5)) for prompt in prompts]
    others = [
        run(engine, f"{number} is a number. " * (1 + number), temperature=1.0)
        for number in range(29)
    ]
    crowd = [run(engine, prompt, **options, seed=5) for prompt in prompts]
    answers = await asyncio.gather(*others[:15], *crowd, *others[15:])
    assert [text(steps) for steps in answers[15:18]] == alone


async def test_a_penalty_s_window(engine: Engine) -> None:
    """A large penalty forbids what is in its window."""
    prompt = Prompt(engine.tokenizer.encode("la la la la la la la"))

    async def tokens(window: int) -> list[int]:
        options = generation_pb2.Options(
            temperature=0, presence_penalty=100, repeat_last_n=window, num_predict=40
        )
        steps = engine.generate(prompt, generation_pb2.Generation(options=options))
        return [token async for step in steps for token in step.tokens]

    def repeats(answer: list[int], window: int) -> bool:
        whole = [*prompt.tokens, *answer]
        places = range(len(prompt.tokens), len(whole))
        return any(whole[at] in whole[max(at - window, 0) : at] for at in places)

    assert repeats(await tokens(0), 6)
    assert not repeats(await tokens(6), 6)
    assert not repeats(await tokens(-1), 1000)


async def test_a_small_typical_p_narrows_the_choice(engine: Engine) -> None:
    async def different(**options: Any) -> int:
        answers = [run(engine, **HOT, seed=seed, num_predict=3, **options) for seed in range(20)]
        return len({text(steps) for steps in await asyncio.gather(*answers)})

    assert await different(typical_p=0.05) < await different()


@pytest.mark.parametrize("version", [1, 2])
async def test_mirostat(engine: Engine, version: int) -> None:
    options: dict[str, Any] = {"mirostat": version, "temperature": 2.0, "num_predict": 30}
    first, again, tame = [
        text(await run(engine, **options, mirostat_tau=tau, seed=3)) for tau in (6.0, 6.0, 0.1)
    ]
    assert first == again != tame
    assert tame == text(await run(engine, num_predict=30))


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 5.0},
        {"temperature": 1e30, "top_k": 2**31 - 1},
        {"temperature": 1e-30, "min_p": 7.0},
        {"top_p": -1.0, "typical_p": -1.0, "top_k": -7},
        {"repeat_penalty": 0.0, "repeat_last_n": -9},
        {"repeat_penalty": -3.0, "presence_penalty": -1e30, "frequency_penalty": 1e30},
        {"repeat_penalty": 1e-30, "temperature": 0.0},
        {"mirostat": 7, "mirostat_tau": -1e30, "mirostat_eta": 1e30},
        {"mirostat": 1, "mirostat_tau": 1e30, "mirostat_eta": -1e30},
        {"seed": -(2**63), "num_keep": -1, "num_predict": -7, "num_ctx": 80, "stop": [""]},
    ],
    ids=str,
)
async def test_odd_options(engine: Engine, options: dict[str, Any]) -> None:
    assert await run(engine, **{"temperature": 0.8, "num_predict": 5, **options})


async def test_options_of_a_constrained_answer(engine: Engine) -> None:
    schema = {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 5, "maxItems": 5}
    wanted = generation_pb2.Format(json_schema=json.dumps(schema))
    options = generation_pb2.Options(
        temperature=3, repeat_penalty=5, presence_penalty=9, typical_p=0.2, repeat_last_n=-1
    )
    generation = generation_pb2.Generation(format=wanted, options=options)
    steps = [step async for step in engine.generate(chat(engine), generation)]
    assert set(json.loads(text(steps))) <= {1, 2, 3}


async def logprobs(
    engine: Engine, prompt: str, alternatives: int, **options: Any
) -> tuple[str, list[generation_pb2.TokenLogprob]]:
    generation = generation_pb2.Generation(logprobs=alternatives)
    generation.options.MergeFrom(generation_pb2.Options(**options))
    steps = [step async for step in engine.generate(chat(engine, prompt), generation)]
    return text(steps), [logprob for step in steps for logprob in step.logprobs]


@pytest.mark.parametrize("alternatives", [0, 1, 5, 20])
async def test_logprobs(engine: Engine, alternatives: int) -> None:
    _, found = await logprobs(engine, "Hello", alternatives, num_predict=3, seed=1, **HOT)
    assert len(found) == 3
    assert all(len(each.alternatives) == alternatives for each in found)
    for each in found:
        values = [alternative.logprob for alternative in each.alternatives]
        assert values == sorted(values, reverse=True)
        assert each.logprob <= max(values, default=0) <= 0


async def test_logprobs_are_the_model_s_whatever_the_options(engine: Engine) -> None:
    plain = (await logprobs(engine, "Hello", 3, num_predict=1, temperature=0))[1]
    options: dict[str, Any] = {"top_k": 1, "repeat_penalty": 3.0, "mirostat": 2, "temperature": 4.0}
    bent = (await logprobs(engine, "Hello", 3, num_predict=1, **options))[1]
    assert list(plain[0].alternatives) == list(bent[0].alternatives)


@pytest.mark.parametrize("prompt", ["Why is the sky blue?", "Repeat after me: 漢字 😀 é"])
async def test_the_bytes_of_logprobs_are_the_text(engine: Engine, prompt: str) -> None:
    answer, found = await logprobs(engine, prompt, 0, temperature=0)
    assert b"".join(each.token_bytes for each in found).decode() == answer
    stop = answer[8:11]
    answer, found = await logprobs(engine, prompt, 0, temperature=0, stop=[stop])
    joined = b"".join(each.token_bytes for each in found).decode()
    assert joined.startswith(answer)
    assert len(joined) < len(answer) + len(found[-1].token_bytes)


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
    async with asyncio.timeout(30):
        await second.died()
    with pytest.raises(WorkerLost):
        await run(second)
    await second.aclose()
    assert await run(engine)


async def test_an_engine_that_is_ended_while_it_answers(factory: VllmFactory) -> None:
    engine = await start(factory, DEMO)
    endless = generation_pb2.Format(json_schema='{"type": "string", "minLength": 10000}')
    steps = engine.generate(chat(engine), generation_pb2.Generation(format=endless))
    await anext(steps)
    rest = asyncio.create_task(_rest(steps))
    await asyncio.sleep(0.05)
    await engine.aclose()
    async with asyncio.timeout(5):
        with pytest.raises(WorkerLost):
            await rest


async def _rest(steps: AsyncIterator[Step]) -> list[Step]:
    return [step async for step in steps]


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
