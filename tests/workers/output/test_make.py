from dataclasses import dataclass

import pytest

from common.errors import InvalidRequest
from protos.paddock.v1 import generation_pb2, model_pb2
from tests.workers.output.pieces import pieces, read
from tests.workers.scripted import ScriptedEngine
from workers.engine import Prompt
from workers.output.harmony import HarmonyReader
from workers.output.json_calls import Call
from workers.output.make import make_reader
from workers.output.parsed import Parsed
from workers.output.reader import Reader

THOUGHT = "<think>Hm.</think>Yes."
TEMPLATE = (
    "{{ range .Messages }}{{ if .Thinking }}<t>{{ .Thinking }}</t>{{ end }}{{ end }}{{ .Tools }}"
)
TOOL = '{"type": "function", "function": {"name": "add"}}'


@dataclass
class Token:
    content: str
    special: bool


async def make(
    *,
    capabilities: tuple[str, ...] = ("completion", "thinking", "tools"),
    parser: str = "olmo3-think",
    family: str = "",
    template: str = "",
    tools: tuple[str, ...] = (),
    raw: bool = False,
    think: "generation_pb2.Think.ValueType" = generation_pb2.THINK_UNSPECIFIED,
    special: tuple[str, ...] = (),
    prompt: str = "",
) -> Reader | None:
    engine = ScriptedEngine(lambda *_: "")
    tokens = [Token(text, True) for text in special] + [Token("<ordinary>", False)]
    engine.tokenizer.added_tokens_decoder = dict(enumerate(tokens))
    spec = model_pb2.ModelSpec(
        capabilities=capabilities, parser=parser, details=model_pb2.ModelDetails(family=family)
    )
    generation = generation_pb2.Generation(template=template, think=think)
    if raw:
        generation.completion.raw = True
    else:
        generation.chat.tools_json.extend(tools)
    return await make_reader(engine.ready, spec, generation, Prompt([], prompt))


async def parsed(reader: Reader | None, text: str = THOUGHT) -> Parsed:
    assert reader
    return await read(reader, [text])


async def test_where_there_is_nothing_to_read() -> None:
    assert await make(capabilities=("completion",)) is None
    assert await make(capabilities=("completion", "tools")) is None
    assert await make(parser="passthrough", tools=(TOOL,)) is None
    assert await make(parser="qwen3") is None


async def test_thoughts() -> None:
    assert await parsed(await make()) == Parsed("Hm.", "Yes.")
    assert await parsed(await make(raw=True)) == Parsed("Hm.", "Yes.")
    assert await parsed(await make(think=generation_pb2.THINK_HIGH)) == Parsed("Hm.", "Yes.")
    off = await make(think=generation_pb2.THINK_OFF)
    assert await parsed(off) == Parsed(content=THOUGHT)


async def test_a_thought_that_the_prompt_opened() -> None:
    for think in (generation_pb2.THINK_ON, generation_pb2.THINK_OFF):
        opened = await make(prompt="Hello <think>\n", think=think)
        assert await parsed(opened, "Hm.</think>Yes.") == Parsed("Hm.", "Yes.")


async def test_the_tags_of_a_go_template() -> None:
    reader = await make(parser="", template=TEMPLATE)
    assert await parsed(reader, "<t>Hm.</t>Yes.") == Parsed("Hm.", "Yes.")
    reader = await make(parser="", template=TEMPLATE, tools=(TOOL,))
    assert (await parsed(reader, '{"name": "add", "arguments": {}}')).calls
    with pytest.raises(InvalidRequest):
        await make(parser="", template="{{ if }}")


@pytest.mark.parametrize(
    ("parser", "special", "shown"),
    [
        ("olmo3-think", (), False),
        ("olmo3-think", ("<|im_end|>",), False),
        ("olmo3-think", ("</think>",), True),
        ("gemma4", ("<|channel>",), True),
        ("qwen3-coder", ("<tool_call>",), True),
    ],
)
async def test_special_tokens_are_shown_only_where_they_mark_something(
    parser: str, special: tuple[str, ...], shown: bool
) -> None:
    reader = await make(parser=parser, special=special, tools=(TOOL,))
    assert reader
    assert reader.special_tokens == shown


COHERE = (
    "<|START_THINKING|>Hm.<|END_THINKING|>"
    '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "add", "parameters": {"a": 1}}]'
    "<|END_ACTION|>"
)


@pytest.mark.parametrize("cut", range(1, 12))
async def test_cohere(cut: int) -> None:
    reader = await make(parser="", family="cohere2", tools=(TOOL,))
    assert reader
    assert await read(reader, pieces(COHERE, [cut])) == Parsed("Hm.", "", [Call("add", '{"a": 1}')])
    for tools in ((TOOL,), ()):
        plain = await make(parser="", family="cohere2", capabilities=("completion",), tools=tools)
        assert plain
        text = "<|START_RESPONSE|>Hi <|there|>.<|END_RESPONSE|>"
        assert await read(plain, pieces(text, [cut])) == Parsed(content="Hi <|there|>.")


async def test_gpt_oss() -> None:
    capabilities = ("completion",)
    for reader in (
        await make(parser="harmony", capabilities=capabilities),
        await make(parser="", family="gptoss", capabilities=capabilities, template="<|start|>"),
    ):
        assert isinstance(reader, HarmonyReader)
    assert await make(parser="harmony", raw=True) is None
    assert await make(parser="", family="llama", capabilities=capabilities) is None
