"""Answers of the demo model on the real engine, one engine for all tests of the module."""

import json
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from protos.paddock.v1 import generation_pb2, model_pb2
from tests.workers.test_answer import Answered, Recorder
from workers.answer import Answer
from workers.output.make import make_reader
from workers.prompt import make_prompt
from workers.slot import ReadyEngine
from workers.vllm_factory import VllmFactory

DEMO = Path(__file__).parents[2] / "examples" / "demo_model" / "model"
LENGTH = generation_pb2.FINISH_REASON_LENGTH
STOP = generation_pb2.FINISH_REASON_STOP

PUZZLE = "How many legs do 3 cats have?"
WEATHER = "What is the weather today in Paris?"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather for a location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {
                    "type": "string",
                    "description": "The location to get the weather for, e.g. San Francisco, CA",
                },
                "format": {
                    "type": "string",
                    "description": "The format to return the weather in",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location", "format"],
        },
    },
}
LEGS = {
    "type": "object",
    "properties": {"legs": {"type": "integer"}},
    "required": ["legs"],
    "additionalProperties": False,
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def spec() -> model_pb2.ModelSpec:
    files = [
        model_pb2.ModelFile(path=path.name, size=path.stat().st_size) for path in DEMO.iterdir()
    ]
    capabilities = ["completion", "tools", "thinking"]
    return model_pb2.ModelSpec(name="demo:latest", files=files, capabilities=capabilities)


@pytest.fixture(scope="module")
def factory(failures: Path) -> VllmFactory:
    return VllmFactory(failures, max_sequences=16, context_length=None, accelerator=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ready(factory: VllmFactory, spec: model_pb2.ModelSpec) -> AsyncIterator[ReadyEngine]:
    engine = await factory.start(spec, DEMO, factory.plan(spec, DEMO, 2 << 30))
    yield ReadyEngine(engine)
    await engine.aclose()


def asked(
    question: str, *, tools: bool = False, schema: object = None, **options: object
) -> generation_pb2.Generation:
    options = {"temperature": 0.0, "num_predict": 200, "stop": ["<|im_end|>"]} | options
    return generation_pb2.Generation(
        chat=generation_pb2.Chat(
            messages=[generation_pb2.Message(role="user", content=question)],
            tools_json=[orjson.dumps(TOOL).decode()] if tools else [],
        ),
        options=generation_pb2.Options(**options),  # type: ignore[arg-type]
        format=generation_pb2.Format(json_schema=json.dumps(schema)) if schema else None,
        logprobs=0,
    )


async def ask(
    ready: ReadyEngine,
    spec: model_pb2.ModelSpec,
    generation: generation_pb2.Generation,
    recorded: Sequence[int] = (),
) -> Answered:
    prompt = await make_prompt(ready, spec, generation)
    reader = await make_reader(ready, spec, generation, prompt)
    recorder = Recorder()
    answer = Answer(ready, prompt, generation, reader, recorder, recorded)
    await answer.run()
    return Answered(answer, recorder.deltas)


async def test_a_thought_and_an_answer(ready: ReadyEngine, spec: model_pb2.ModelSpec) -> None:
    answered = await ask(ready, spec, asked(PUZZLE))
    assert "4 legs" in answered.thinking
    assert "12 legs" in answered.content
    assert "think>" not in answered.thinking + answered.content
    assert answered.answer.reason == STOP
    assert answered.logprobs == f"<think>\n{answered.thinking}</think>\n\n{answered.content}"


async def test_an_answer_in_a_format_after_a_thought(
    ready: ReadyEngine, spec: model_pb2.ModelSpec
) -> None:
    answered = await ask(ready, spec, asked(PUZZLE, schema=LEGS))
    assert "4 legs" in answered.thinking
    assert isinstance(json.loads(answered.content)["legs"], int)
    assert answered.logprobs.startswith(f"<think>\n{answered.thinking}")
    assert answered.logprobs.endswith(answered.content)


async def test_seeds_also_over_several_runs(ready: ReadyEngine, spec: model_pb2.ModelSpec) -> None:
    first, again, other = [
        await ask(ready, spec, asked(PUZZLE, schema=LEGS, temperature=1.5, seed=seed))
        for seed in (1, 1, 2)
    ]
    assert (first.thinking, first.content) == (again.thinking, again.content)
    assert (first.thinking, first.content) != (other.thinking, other.content)


@pytest.mark.parametrize("schema", [None, LEGS])
async def test_a_tool_call(ready: ReadyEngine, spec: model_pb2.ModelSpec, schema: object) -> None:
    answered = await ask(ready, spec, asked(WEATHER, tools=True, schema=schema))
    [call] = answered.calls
    assert call.name == "get_current_weather"
    assert json.loads(call.arguments_json)["location"].startswith("Paris")
    assert not answered.content
    assert answered.answer.reason == STOP


async def test_a_format_where_no_tool_is_needed(
    ready: ReadyEngine, spec: model_pb2.ModelSpec
) -> None:
    answered = await ask(ready, spec, asked(PUZZLE, tools=True, schema=LEGS))
    assert not answered.calls
    assert isinstance(json.loads(answered.content)["legs"], int)


async def test_half_a_tool_call(ready: ReadyEngine, spec: model_pb2.ModelSpec) -> None:
    whole = await ask(ready, spec, asked(WEATHER, tools=True))
    most = whole.answer.segments.answered - 4
    answered = await ask(ready, spec, asked(WEATHER, tools=True, num_predict=most))
    assert not answered.calls
    assert answered.content.startswith("<tool_call>")
    assert answered.answer.reason == LENGTH


async def test_an_answer_longer_than_the_window(
    ready: ReadyEngine, spec: model_pb2.ModelSpec
) -> None:
    raw = model_pb2.ModelSpec(name="demo:latest", capabilities=["completion"])
    lengths = []
    for seed in range(60):  # most answers just end
        generation = generation_pb2.Generation(
            completion=generation_pb2.Completion(prompt="one two three one two three", raw=True),
            options=generation_pb2.Options(
                num_ctx=48, num_predict=100, num_keep=2, seed=seed, temperature=2.0
            ),
        )
        answered = await ask(ready, raw, generation)
        segments = answered.answer.segments
        lengths.append(segments.answered)
        assert len(segments.held) <= 48
        assert segments.answered == 100 or answered.answer.reason == STOP
        if segments.answered == 100:
            break
    assert 100 in lengths


async def test_marks_that_are_special_tokens(
    factory: VllmFactory, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    shutil.copytree(DEMO, tmp_path, dirs_exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        described = json.loads((tmp_path / name).read_text())
        added = described.get("added_tokens") or [*described["added_tokens_decoder"].values()]
        for token in added:
            token["special"] = True
        (tmp_path / name).write_text(json.dumps(described))
    engine = await factory.start(spec, tmp_path, factory.plan(spec, tmp_path, 2 << 30))
    try:
        ready = ReadyEngine(engine)
        answered = await ask(ready, spec, asked(PUZZLE, stop=[]))
        assert "4 legs" in answered.thinking
        assert "12 legs" in answered.content
        answered = await ask(ready, spec, asked(PUZZLE, schema=LEGS))
        assert isinstance(json.loads(answered.content)["legs"], int)
        [call] = (await ask(ready, spec, asked(WEATHER, tools=True))).calls
        assert call.name == "get_current_weather"
    finally:
        await engine.aclose()
