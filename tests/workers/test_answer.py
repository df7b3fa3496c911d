"""Answers with thoughts, tool calls and formats, from a scripted engine."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson
import pytest

from protos.paddock.v1 import generation_pb2, model_pb2
from tests.workers.scripted import ScriptedEngine
from workers.answer import Answer
from workers.engine import Prompt
from workers.output.make import make_reader

LENGTH = generation_pb2.FINISH_REASON_LENGTH
STOP = generation_pb2.FINISH_REASON_STOP

TEMPLATE = (
    "{{ .Tools }}{{ range .Messages }}{{ .Content }}"
    "{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}"
    "{{ if .ToolCalls }}<tool_call>{{ range .ToolCalls }}{{ .Function }}{{ end }}"
    "</tool_call>{{ end }}{{ end }}"
)
TOOL = orjson.dumps({"type": "function", "function": {"name": "add"}}).decode()
CALL = '<tool_call>{"name": "add", "arguments": {"b": 2, "a": 1}}</tool_call>'
FORMAT = generation_pb2.Format(json=True)


@dataclass
class Answered:
    """What came of a request."""

    answer: Answer
    deltas: list[generation_pb2.Delta] = field(default_factory=list)

    @property
    def thinking(self) -> str:
        return "".join(delta.thinking for delta in self.deltas)

    @property
    def content(self) -> str:
        return "".join(delta.content for delta in self.deltas)

    @property
    def calls(self) -> list[generation_pb2.ToolCall]:
        return [call for delta in self.deltas for call in delta.tool_calls]

    @property
    def tokens(self) -> list[int]:
        return [token for delta in self.deltas for token in delta.tokens]

    @property
    def logprobs(self) -> str:
        return "".join(each.token for delta in self.deltas for each in delta.logprobs)


class Recorder:
    """Keeps what an answer gives, each piece apart."""

    def __init__(self) -> None:
        self.deltas: list[generation_pb2.Delta] = []

    def add_text(self, content: str, tokens: Sequence[int]) -> None:
        self.deltas.append(generation_pb2.Delta(content=content, tokens=tokens))

    def delta(self) -> generation_pb2.Delta:
        self.deltas.append(generation_pb2.Delta())
        return self.deltas[-1]


def asked(
    *,
    tools: bool = False,
    formatted: bool = False,
    think: "generation_pb2.Think.ValueType" = generation_pb2.THINK_UNSPECIFIED,
    template: str = TEMPLATE,
    **options: int,
) -> generation_pb2.Generation:
    return generation_pb2.Generation(
        chat=generation_pb2.Chat(tools_json=[TOOL] if tools else []),
        options=generation_pb2.Options(**options),  # type: ignore[arg-type]
        format=FORMAT if formatted else None,
        think=think,
        template=template,
        logprobs=0,
    )


async def ask(
    engine: ScriptedEngine,
    generation: generation_pb2.Generation,
    prompt: str = "Q: ",
    capabilities: tuple[str, ...] = ("completion", "tools", "thinking"),
    parser: str = "",
    recorded: Sequence[int] = (),
) -> Answered:
    spec = model_pb2.ModelSpec(name="scripted", capabilities=capabilities, parser=parser)
    given = Prompt([ord(letter) for letter in prompt], prompt)
    reader = await make_reader(engine.ready, spec, generation, given)
    recorder = Recorder()
    answer = Answer(engine.ready, given, generation, reader, recorder, recorded)
    await answer.run()
    return Answered(answer, recorder.deltas)


def says(text: str, letters: int = 1) -> ScriptedEngine:
    return ScriptedEngine(lambda *_: text, letters=letters)


letters = pytest.mark.parametrize("letters", [1, 4, 1000])


@letters
async def test_a_thought_comes_before_the_answer(letters: int) -> None:
    engine = says("<think>\nHm.\n</think>\n\nYes.", letters)
    answered = await ask(engine, asked())
    assert (answered.thinking, answered.content) == ("Hm.\n", "Yes.")
    assert answered.answer.reason == STOP
    assert answered.logprobs == "<think>\nHm.\n</think>\n\nYes."
    assert answered.answer.segments.answered == 26


async def test_thoughts_and_content_stream() -> None:
    answered = await ask(says("<think>Hm.</think>Yes."), asked())
    assert [delta.thinking for delta in answered.deltas[:3]] == ["H", "m", "."]
    assert [delta.content for delta in answered.deltas[3:]] == ["Y", "e", "s", "."]
    assert answered.deltas[0].logprobs[0].token == "<"


async def test_a_thought_that_the_prompt_opened() -> None:
    answered = await ask(says("Hm.</think>Yes."), asked(), prompt="Q: <think>\n")
    assert (answered.thinking, answered.content) == ("Hm.", "Yes.")


async def test_a_thought_that_is_cut_off() -> None:
    answered = await ask(says("<think>Hm, </thing, what"), asked(num_predict=14))
    assert (answered.thinking, answered.content) == ("Hm, </t", "")
    assert answered.answer.reason == LENGTH


async def test_where_no_thought_is_wanted() -> None:
    off = asked(think=generation_pb2.THINK_OFF)
    assert (await ask(says("<think>\n\n</think>\n\nYes."), off)).content == "Yes."
    answered = await ask(says("<think>Hm.</think>Yes."), off)
    assert (answered.thinking, answered.content) == ("", "<think>Hm.</think>Yes.")


async def test_a_model_that_does_not_think() -> None:
    text = "<think>Hm.</think>Yes."
    answered = await ask(says(text), asked(), capabilities=("completion",))
    assert (answered.thinking, answered.content) == ("", text)


@letters
async def test_tool_calls(letters: int) -> None:
    text = f"<think>Hm.</think>\nI add.\n{CALL}\n{CALL}"
    answered = await ask(says(text, letters), asked(tools=True))
    assert (answered.thinking, answered.content) == ("Hm.", "I add.")
    one, two = answered.calls
    assert (one.name, one.arguments_json) == ("add", '{"b": 2, "a": 1}')
    assert re.fullmatch("call_[a-z0-9]{8}", one.id)
    assert one.id != two.id
    assert not any(delta.content and delta.tool_calls for delta in answered.deltas)
    assert answered.answer.reason == STOP
    assert answered.logprobs == text


async def test_without_tools_nothing_is_a_call() -> None:
    assert (await ask(says(CALL), asked())).content == CALL


async def test_half_a_call_is_content() -> None:
    answered = await ask(says(CALL), asked(tools=True, num_predict=30))
    assert (answered.content, answered.calls) == (CALL[:30], [])
    assert answered.answer.reason == LENGTH


def thinks_then(answer: str) -> Callable[[str, bool], str]:
    def script(prompt: str, constrained: bool) -> str:
        if prompt.endswith("</think>"):
            return answer
        assert not constrained
        return "<think>Hm.</think>Sure, here it comes: {}"

    return script


@letters
async def test_a_format_binds_the_answer_and_not_the_thought(letters: int) -> None:
    engine = ScriptedEngine(thinks_then('{"a": 1}'), letters=letters)
    answered = await ask(engine, asked(formatted=True, num_predict=40))
    assert (answered.thinking, answered.content) == ("Hm.", '{"a": 1}')
    assert [(run.prompt, run.constrained) for run in engine.runs] == [
        ("Q: ", False),
        ("Q: <think>Hm.</think>", True),
    ]
    segments = answered.answer.segments
    assert (segments.prompt_tokens, segments.answered) == (3, 26)
    assert (segments.timing.prompt, segments.timing.completion) == (10, 210)
    assert engine.runs[1].generation.options.num_predict == 40 - 18
    assert answered.answer.reason == STOP
    assert answered.logprobs == '<think>Hm.</think>{"a": 1}'


@letters
async def test_a_format_where_the_model_does_not_think(letters: int) -> None:
    engine = ScriptedEngine(
        lambda _, constrained: '{"a": 1}' if constrained else "Sure: " + "1" * 50, letters=letters
    )
    answered = await ask(engine, asked(formatted=True))
    assert (answered.thinking, answered.content) == ("", '{"a": 1}')
    assert [(run.prompt, run.constrained) for run in engine.runs] == [("Q: ", False), ("Q: ", True)]
    assert answered.answer.segments.answered == 8
    assert answered.logprobs == '{"a": 1}'
    assert len(engine.runs[0].given) <= len("</think>") + letters
    assert engine.running == 0


async def test_a_format_where_the_model_says_nothing_at_first() -> None:
    engine = ScriptedEngine(lambda _, constrained: "{}" if constrained else "")
    assert (await ask(engine, asked(formatted=True))).content == "{}"


async def test_a_format_where_a_thought_ends_that_never_began() -> None:
    engine = ScriptedEngine(lambda _, constrained: "{}" if constrained else "</think>Yes.")
    answered = await ask(engine, asked(formatted=True))
    assert (answered.thinking, answered.content) == ("", "{}")
    assert engine.runs[1].prompt == "Q: "


async def test_a_format_after_an_empty_thought() -> None:
    engine = ScriptedEngine(
        lambda _, constrained: "{}" if constrained else "<think>\n\n</think>Yes."
    )
    answered = await ask(engine, asked(formatted=True))
    assert (answered.thinking, answered.content) == ("", "{}")
    assert engine.runs[1].prompt == "Q: <think>\n\n</think>"


async def test_a_format_after_a_thought_that_the_prompt_opened() -> None:
    engine = ScriptedEngine(thinks_then("{}"))
    answered = await ask(engine, asked(formatted=True), prompt="Q: <think>")
    assert (answered.thinking, answered.content) == ("Hm.", "{}")


async def test_a_format_where_an_opened_thought_stays_empty() -> None:
    engine = ScriptedEngine(lambda _, constrained: "{}" if constrained else "")
    answered = await ask(engine, asked(formatted=True), prompt="Q: <think>")
    assert answered.content == "{}"
    assert engine.runs[1].prompt == "Q: <think></think>\n\n"


async def test_a_format_after_a_thought_that_is_cut_off() -> None:
    engine = ScriptedEngine(thinks_then("{}"))
    answered = await ask(engine, asked(formatted=True, num_predict=9))
    assert (answered.thinking, answered.content) == ("Hm", "")
    assert answered.answer.reason == LENGTH
    assert len(engine.runs) == 1
    answered = await ask(ScriptedEngine(thinks_then("{}")), asked(formatted=True, num_predict=18))
    assert (answered.thinking, answered.content) == ("Hm.", "")
    assert answered.answer.reason == LENGTH


async def test_a_format_without_thinking_is_one_run() -> None:
    for off in (
        await ask(says("{}"), asked(formatted=True, think=generation_pb2.THINK_OFF)),
        await ask(says("{}"), asked(formatted=True), capabilities=("completion",)),
    ):
        assert off.content == "{}"
        assert off.answer.segments.timing.prompt == 10


@letters
async def test_with_tools_and_a_format_a_model_may_call(letters: int) -> None:
    engine = ScriptedEngine(
        lambda prompt, _: CALL if prompt.endswith("</think>") else "<think>Hm.</think>No",
        letters=letters,
    )
    answered = await ask(engine, asked(tools=True, formatted=True))
    assert (answered.thinking, answered.content) == ("Hm.", "")
    assert [call.name for call in answered.calls] == ["add"]
    assert not any(run.constrained for run in engine.runs)


@letters
async def test_with_tools_and_a_format_an_answer_is_bound(letters: int) -> None:
    def script(prompt: str, constrained: bool) -> str:
        if not prompt.endswith("</think>"):
            return "<think>Hm.</think>No"
        return '{"a": 1}' if constrained else "Sure: 1"

    engine = ScriptedEngine(script, letters=letters)
    answered = await ask(engine, asked(tools=True, formatted=True))
    assert (answered.thinking, answered.content, answered.calls) == ("Hm.", '{"a": 1}', [])
    assert [run.prompt for run in engine.runs] == ["Q: ", *["Q: <think>Hm.</think>"] * 2]
    assert answered.answer.segments.answered == 26
    assert answered.logprobs == '<think>Hm.</think>{"a": 1}'


async def test_with_tools_and_a_format_half_a_call_is_no_answer() -> None:
    engine = ScriptedEngine(lambda _, constrained: "{}" if constrained else "<tool_call>{")
    answered = await ask(engine, asked(tools=True, formatted=True))
    assert (answered.content, answered.calls) == ("{}", [])


async def test_the_format_of_gpt_oss() -> None:
    text = (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes."
    )
    engine = says(text)
    answered = await ask(engine, asked(), prompt="<|start|>assistant", parser="harmony")
    assert (answered.thinking, answered.content) == ("Hm.", "Yes.")
    assert engine.runs[0].special_tokens


async def test_gpt_oss_thinks_before_an_answer_in_a_format() -> None:
    def script(prompt: str, constrained: bool) -> str:
        if constrained:
            return "{}"
        return "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final"

    engine = ScriptedEngine(script)
    request = asked(formatted=True)
    answered = await ask(engine, request, prompt="<|start|>assistant", parser="harmony")
    assert (answered.thinking, answered.content) == ("Hm.", "{}")
    assert engine.runs[-1].prompt == (
        "<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>"
    )
    assert len(engine.runs) == 2


async def test_a_thought_goes_on_over_a_shift() -> None:
    text = "<think>" + "ab" * 20 + "</think>Yes."
    engine = ScriptedEngine(
        lambda prompt, _: text if prompt == "Q: " else "</think>Yes.", context_length=40
    )
    answered = await ask(engine, asked())
    assert set(answered.thinking) == {"a", "b"}
    assert answered.content == "Yes."
    assert len(engine.runs) == 2
