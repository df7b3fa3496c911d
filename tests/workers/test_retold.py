"""Answers that are gone on with after any of their tokens, from a scripted engine."""

from collections.abc import Sequence

import pytest

from protos.paddock.v1 import generation_pb2
from tests.workers.retelling import assert_goes_on
from tests.workers.scripted import Script, ScriptedEngine
from tests.workers.test_answer import CALL, Answered, ask, asked

THOUGHT = "<think>Hm.</think>"
OFF = generation_pb2.THINK_OFF


def says(text: str) -> Script:
    return lambda *_: text


def thinks(free: str, bound: str) -> Script:
    """Think, then say something else when held to a format."""

    def script(prompt: str, constrained: bool) -> str:
        if prompt.endswith("</think>"):
            return bound if constrained else free
        return bound if constrained else THOUGHT + "Sure, here it comes: {}"

    return script


def shifting(prompt: str, constrained: bool) -> str:
    return "<think>" + "ab" * 20 + "</think>Yes." if prompt == "Q: " else "</think>Yes."


FORMATTED = asked(formatted=True)
STOPPED = asked()
STOPPED.options.stop.extend(["es. N", "never"])
NO_LOGPROBS = asked(tools=True)
NO_LOGPROBS.ClearField("logprobs")

CASES: dict[str, tuple[Script, generation_pb2.Generation, int]] = {
    "plain": (says("Yes, yes."), asked(think=OFF), 1000),
    "thought": (says(THOUGHT + "Yes."), asked(), 1000),
    "stop string": (says(THOUGHT + "Yes. No."), STOPPED, 1000),
    "calls": (says(f"{THOUGHT}\nI add.\n{CALL}\n{CALL}"), asked(tools=True), 1000),
    "calls without logprobs": (says(f"I add.\n{CALL}\n{CALL}"), NO_LOGPROBS, 1000),
    "half a call": (says(CALL), asked(tools=True, num_predict=30), 1000),
    "format after a thought": (thinks("", '{"a": 1}'), FORMATTED, 1000),
    "format without a thought": (
        lambda _, constrained: '{"a": 1}' if constrained else "Sure: " + "1" * 50,
        FORMATTED,
        1000,
    ),
    "format, thought cut off": (thinks("", "{}"), asked(formatted=True, num_predict=9), 1000),
    "format and tools": (thinks("Sure: 1", '{"a": 1}'), asked(formatted=True, tools=True), 1000),
    "format, a call": (thinks(CALL, "{}"), asked(formatted=True, tools=True), 1000),
    "shift in a thought": (shifting, asked(), 40),
    "many shifts": (says("abcdefgh" * 20), asked(think=OFF, num_predict=90), 20),
}


@pytest.mark.parametrize("letters", [1, 3, 1000])
@pytest.mark.parametrize("case", CASES)
async def test_an_answer_that_is_gone_on_with(case: str, letters: int) -> None:
    script, generation, context_length = CASES[case]
    computed: list[bool] = []

    async def retell(recorded: Sequence[int]) -> Answered:
        engine = ScriptedEngine(script, context_length, letters)
        answered = await ask(engine, generation, recorded=recorded)
        *before, last = engine.runs
        marks = recorded and [*recorded].count(-1)
        assert not any(run.computed for run in before[: marks or 0])
        computed.append(last.computed)
        assert engine.running == 0
        return answered

    await assert_goes_on(retell)
    assert computed[0]
    assert len(computed) > 1


async def test_nothing_is_computed_for_an_answer_that_had_ended() -> None:
    script, generation, _ = CASES["format after a thought"]
    whole = await ask(ScriptedEngine(script), generation)
    engine = ScriptedEngine(script)
    again = await ask(engine, generation, recorded=whole.tokens)
    assert again.content == '{"a": 1}'
    assert [run.computed for run in engine.runs] == [False, False]


async def test_tokens_come_one_by_one_and_runs_with_a_mark() -> None:
    answered = await ask(ScriptedEngine(thinks("", "{}")), FORMATTED)
    text = "".join("|" if token < 0 else chr(token) for token in answered.tokens)
    assert text == "<think>Hm.</think>|{}"


async def test_tokens_of_text_that_is_held_back_come_at_once() -> None:
    generation = asked(think=OFF)
    generation.ClearField("logprobs")
    generation.options.stop.append("a string that never comes")
    answered = await ask(ScriptedEngine(says("Yes, yes.")), generation)
    assert [list(delta.tokens) for delta in answered.deltas] == [[ord(it)] for it in "Yes, yes."]
    assert [delta.content for delta in answered.deltas] == [""] * 8 + ["Yes, yes."]


@pytest.mark.parametrize(("first", "second"), [(40, 20), (20, 40)])
async def test_another_worker_s_window_may_have_another_size(first: int, second: int) -> None:
    """Nothing of what was told is lost, and it goes on."""
    generation = asked(think=OFF, num_predict=90)
    script = says("abcdefgh" * 20)
    left = await ask(ScriptedEngine(script, first), generation)
    recorded = left.tokens[:60]
    again = await ask(ScriptedEngine(script, second), generation, recorded=recorded)
    told = len([token for token in recorded if token >= 0])
    assert again.content[:told] == left.content[:told]
    assert again.tokens[:60] == recorded
    assert len(again.content) == 90
