"""The simulated engine: what all engines do, and what is its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from common.errors import CapabilityMissing, InvalidRequest, WorkerLost
from protos.paddock.v1 import generation_pb2
from tests.workers.conformance import EngineConformance, chat, run, text
from workers.engine import Engine, Limits, Prompt, Step
from workers.simulated.batch import Counts
from workers.simulated.engine import SimulatedEngine
from workers.simulated.simulation import Simulation

STOP = generation_pb2.FINISH_REASON_STOP
LENGTH = generation_pb2.FINISH_REASON_LENGTH
FAST = Simulation(token_time=0, prompt_time=0, load_time=0)
SCHEMA = {
    "type": "object",
    "properties": {"color": {"enum": ["red", "blue"]}, "sure": {"type": "boolean"}},
    "required": ["color", "sure"],
}


def make(simulation: Simulation = FAST, **arguments: Any) -> SimulatedEngine:
    limits = Limits(context_length=1000, max_sequences=8, accelerator=False)
    return SimulatedEngine("simulated", limits, simulation, Counts(), **arguments)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = make()
    yield engine
    await engine.aclose()


class TestSimulatedEngine(EngineConformance):
    pass


async def answer(engine: Engine, prompt: Prompt, **fields: Any) -> list[Step]:
    generation = generation_pb2.Generation(**fields)
    async with aclosing(engine.generate(prompt, generation)) as steps:
        return [step async for step in steps]


def tokens(steps: list[Step]) -> list[int]:
    return [token for step in steps for token in step.tokens]


async def test_answers_differ_and_end_by_themselves(engine: Engine) -> None:
    answers = [await run(engine, f"Question {number}?", num_predict=-1) for number in range(20)]
    assert len({text(steps) for steps in answers}) == 20
    assert {steps[-1].reason for steps in answers} == {STOP}
    lengths = {len(tokens(steps)) for steps in answers}
    assert 50 <= min(lengths) < max(lengths) <= 201


async def test_characters_of_several_bytes_come_whole(engine: Engine) -> None:
    answers = [await run(engine, f"Question {number}?", num_predict=-1) for number in range(20)]
    assert "🌍" in "".join(map(text, answers))
    assert all("\ufffd" not in step.text for steps in answers for step in steps)


async def test_an_answer_in_the_next_prompt_has_the_same_tokens(engine: Engine) -> None:
    for number in range(20):
        steps = await run(engine, f"Question {number}?", num_predict=-1)
        assert engine.tokenizer.encode(text(steps)) == tokens(steps)[:-1]


async def test_another_engine_gives_the_same_answer(engine: Engine) -> None:
    other = make()
    asked: list[dict[str, Any]] = [{}, {"temperature": 1.0, "seed": 7}]
    for options in asked:
        assert text(await run(engine, **options)) == text(await run(other, **options))
    await other.aclose()


async def test_seeds(engine: Engine) -> None:
    hot: dict[str, Any] = {"temperature": 1.0}
    first, again, other = [text(await run(engine, **hot, seed=seed)) for seed in (1, 1, 2)]
    assert first == again != other
    assert text(await run(engine, **hot)) != text(await run(engine, **hot))


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"temperature": 1.0, "seed": 3}])
@pytest.mark.parametrize("format_", [None, {"json": True}, {"json_schema": json.dumps(SCHEMA)}])
async def test_an_answer_goes_on_anywhere(
    engine: Engine, options: dict[str, Any], format_: dict[str, Any] | None
) -> None:
    asked: dict[str, Any] = {"options": options, "logprobs": 2}
    if format_:
        asked["format"] = generation_pb2.Format(**format_)
    prompt = chat(engine)
    whole = await answer(engine, prompt, **asked)
    for cut in (1, 7, len(whole) - 1, len(whole)):
        begun = Prompt(prompt.tokens, generated=tokens(whole)[:cut])
        assert await answer(engine, begun, **asked) == whole


async def test_what_another_engine_wrote_may_end_the_answer(engine: Engine) -> None:
    prompt = chat(engine)
    options = {"num_predict": 5, "temperature": 0.0}
    whole = await answer(engine, prompt, options=options)
    again = await answer(engine, Prompt(prompt.tokens, generated=tokens(whole)), options=options)
    assert again == whole
    assert again[-1].reason == LENGTH


async def test_json_follows_the_schema(engine: Engine) -> None:
    wanted = generation_pb2.Format(json_schema=json.dumps(SCHEMA))
    found = json.loads(text(await answer(engine, chat(engine), format=wanted)))
    assert found["color"] in ("red", "blue")
    assert isinstance(found["sure"], bool)


async def test_a_schema_that_is_none(engine: Engine) -> None:
    wanted = generation_pb2.Format(json_schema='{"type": "nonsense"}')
    with pytest.raises(InvalidRequest):
        await answer(engine, chat(engine), format=wanted)


async def test_logprobs_belong_to_the_text(engine: Engine) -> None:
    steps = await answer(engine, chat(engine), options={"num_predict": 40}, logprobs=3)
    found = [logprob for step in steps for logprob in step.logprobs]
    whole = b"".join(each.token_bytes for each in found)
    assert whole.decode("utf-8", "replace") == text(steps)  # the limit may cut a character
    assert all(each.logprob <= 0 and len(each.alternatives) == 3 for each in found)
    assert steps[0].logprobs[0].alternatives[0].token == steps[0].logprobs[0].token


async def test_tokens_that_there_are_not(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="vocabulary"):
        await answer(engine, Prompt([1, 10_000_000]))


async def test_an_engine_that_ended(engine: Engine) -> None:
    steps = engine.generate(chat(engine), generation_pb2.Generation())
    await anext(steps)
    await engine.aclose()
    with pytest.raises(WorkerLost):
        [step async for step in steps]
    with pytest.raises(WorkerLost):
        await run(engine)
    await engine.died()
    assert not engine.alive


async def test_an_adapter_changes_the_answers(engine: Engine, tmp_path: Any) -> None:
    adapted = await engine.adapt("other", tmp_path)
    assert text(await run(adapted)) != text(await run(engine))
    assert text(await run(adapted)) == text(await run(adapted))


async def test_embedding() -> None:
    engine = make(dimensions=16)
    first, other, again = await engine.embed([[1, 2], [2, 1], [1, 2]])
    assert first == again != other
    assert len(first) == 16
    assert sum(value * value for value in first) == pytest.approx(1)
    with pytest.raises(CapabilityMissing):
        await run(engine)
    await engine.aclose()
    with pytest.raises(WorkerLost):
        await engine.embed([[1]])


async def test_images_change_the_answer() -> None:
    engine = make(sees=True)
    seen, other = [
        text(await answer(engine, Prompt([1, 2], images=[image]), options={"temperature": 0.0}))
        for image in (b"a", b"b")
    ]
    assert seen != other
    await engine.aclose()


async def test_prompts_too_many_tokens_at_once_wait_for_each_other() -> None:
    engine = make(Simulation(token_time=0.001, prompt_time=0))
    whole = await asyncio.gather(*(run(engine, f"{number}", num_predict=9) for number in range(40)))
    assert all(len(tokens(steps)) == 9 for steps in whole)
    await engine.aclose()
