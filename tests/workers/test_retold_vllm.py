"""Answers of the demo model that are gone on with on the real engine, from every place in them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from protos.paddock.v1 import generation_pb2, model_pb2
from tests.workers.retelling import assert_goes_on
from tests.workers.test_answer import Answered
from tests.workers.test_answer_vllm import DEMO, LEGS, PUZZLE, WEATHER, ask, asked
from workers.slot import ReadyEngine
from workers.vllm_factory import VllmFactory

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

SPEC = model_pb2.ModelSpec(
    name="demo:latest",
    files=[model_pb2.ModelFile(path=it.name, size=it.stat().st_size) for it in DEMO.iterdir()],
    capabilities=["completion", "tools", "thinking"],
)
RAW = model_pb2.ModelSpec(name="demo:latest", capabilities=["completion"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ready(failures: Any) -> AsyncIterator[ReadyEngine]:
    factory = VllmFactory(failures, max_sequences=16, context_length=None, accelerator=False)
    engine = await factory.start(SPEC, DEMO, factory.plan(SPEC, DEMO, 2 << 30))
    yield ReadyEngine(engine)
    await engine.aclose()


async def goes_on(
    ready: ReadyEngine,
    generation: generation_pb2.Generation,
    every: int = 1,
    spec: model_pb2.ModelSpec = SPEC,
) -> Answered:
    return await assert_goes_on(
        lambda recorded: ask(ready, spec, generation, recorded), every=every
    )


async def test_a_thought_and_an_answer(ready: ReadyEngine) -> None:
    answered = await goes_on(ready, asked(PUZZLE), every=5)
    assert answered.thinking
    assert answered.content


@pytest.mark.parametrize("stop", ["never", "字 😀 é"])
async def test_characters_of_several_tokens(ready: ReadyEngine, stop: str) -> None:
    schema = {"enum": ["漢字 😀 é 漢字 😀 é"]}
    answered = await goes_on(ready, asked("Hi", schema=schema, stop=[stop]), spec=RAW)
    assert answered.content == ('"漢字 😀 é 漢字 😀 é"' if stop == "never" else '"漢')
    assert len(answered.tokens) > len(answered.content)


async def test_bytes_that_are_no_characters(ready: ReadyEngine) -> None:
    wild = asked("Hi", temperature=9.0, seed=1, num_predict=30)
    answered = await goes_on(ready, wild, every=2, spec=RAW)
    assert "\N{REPLACEMENT CHARACTER}" in answered.content


@pytest.mark.parametrize("spec", [SPEC, RAW], ids=["read", "passed on"])
async def test_stop_strings(ready: ReadyEngine, spec: model_pb2.ModelSpec) -> None:
    whole = (await ask(ready, spec, asked(PUZZLE))).content
    stop = whole[10:24]
    answered = await goes_on(ready, asked(PUZZLE, stop=[stop, "never"]), every=3, spec=spec)
    assert answered.content == whole[:10]


async def test_a_format(ready: ReadyEngine) -> None:
    answered = await goes_on(ready, asked(PUZZLE, schema=LEGS), spec=RAW)
    assert isinstance(json.loads(answered.content)["legs"], int)


async def test_a_long_answer_in_a_format(ready: ReadyEngine) -> None:
    schema = {"type": "array", "items": {"enum": ["á", "bc", 3]}, "minItems": 8, "maxItems": 8}
    hot = asked(PUZZLE, schema=schema, temperature=3.0, seed=3, repeat_penalty=1.3)
    answered = await goes_on(ready, hot, spec=RAW)
    assert len(json.loads(answered.content)) == 8


async def test_a_format_after_a_thought(ready: ReadyEngine) -> None:
    answered = await goes_on(ready, asked(PUZZLE, schema=LEGS), every=3)
    assert answered.thinking
    assert isinstance(json.loads(answered.content)["legs"], int)


@pytest.mark.parametrize("schema", [None, LEGS])
async def test_a_tool_call(ready: ReadyEngine, schema: object) -> None:
    answered = await goes_on(ready, asked(WEATHER, tools=True, schema=schema), every=3)
    assert len(answered.calls) == 1


async def test_a_format_where_no_tool_is_needed(ready: ReadyEngine) -> None:
    answered = await goes_on(ready, asked(PUZZLE, tools=True, schema=LEGS), every=5)
    assert isinstance(json.loads(answered.content)["legs"], int)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.5, "seed": 4},
        {"temperature": 1.2, "seed": 4, "top_k": 20, "top_p": 0.9, "min_p": 0.05},
        {"repeat_penalty": 1.5, "presence_penalty": 1.0, "repeat_last_n": 8},
        {"temperature": 1.0, "seed": 2, "frequency_penalty": 1.0, "repeat_last_n": -1},
        {"temperature": 2.0, "seed": 3, "mirostat": 1, "mirostat_tau": 4.0},
        {"temperature": 2.0, "seed": 3, "mirostat": 2, "mirostat_tau": 4.0},
    ],
    ids=str,
)
async def test_options(ready: ReadyEngine, options: dict[str, Any]) -> None:
    await goes_on(ready, asked(PUZZLE, **options, num_predict=40), every=4)


async def test_alternatives(ready: ReadyEngine) -> None:
    generation = asked(PUZZLE, num_predict=30)
    generation.logprobs = 3
    await goes_on(ready, generation, every=2)


async def test_a_window_that_is_full_several_times(ready: ReadyEngine) -> None:
    generation = generation_pb2.Generation(
        completion=generation_pb2.Completion(prompt="one two three one two three", raw=True),
        options=generation_pb2.Options(
            num_ctx=32, num_predict=70, num_keep=2, seed=0, temperature=2.0
        ),
    )
    while (await ask(ready, RAW, generation)).answer.segments.answered < 70:
        generation.options.seed += 1  # some answers just end
    answered = await goes_on(ready, generation, every=2, spec=RAW)
    assert answered.tokens.count(-1) > 2


async def test_an_answer_that_has_ended_costs_nothing(ready: ReadyEngine) -> None:
    whole = await ask(ready, SPEC, asked(PUZZLE))
    again = await ask(ready, SPEC, asked(PUZZLE), whole.tokens)
    timing = again.answer.segments.timing
    assert (timing.prompt, timing.completion) == (0, 0)
    assert again.content == whole.content
