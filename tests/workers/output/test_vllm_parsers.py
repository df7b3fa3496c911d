"""vLLM's own parsers, for the formats that are left to them."""

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tokenizers import AddedToken, models, pre_tokenizers
from tokenizers import Tokenizer as Backend
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.workers.output.pieces import read, ways
from workers.engine import Engine, Tokenizer
from workers.output import vllm_parsers
from workers.output.block_reader import BlockReader
from workers.output.blocks import Block, BlockSplitter
from workers.output.formats import THINKING, TOOLS, tagged_tools
from workers.output.json_calls import Call, Reading
from workers.output.parsed import Parsed
from workers.output.reader import TagReader
from workers.output.tags import Tags
from workers.output.tool_calls import ToolCallSplitter
from workers.slot import ReadyEngine

DEMO = Path(__file__).parents[3] / "examples/demo_model/model"

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    },
}
ARGUMENTS = '{"city": "Paris", "days": 2}'
PARIS = Call("get_weather", ARGUMENTS)
JSON = f'{{"name": "get_weather", "arguments": {ARGUMENTS}}}'
XML = (
    "<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n"
    "<parameter=days>\n2\n</parameter>\n</function>"
)
KEYS = (
    "get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n"
    "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n"
)
PYTHON = 'get_weather(city="Paris", days=2)'

# ruff: noqa: RUF001
CALLS = {
    "apertus": f'<|tools_prefix|>[{{"get_weather": {ARGUMENTS}}}]<|tools_suffix|>',
    "cohere": '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", '
    f'"parameters": {ARGUMENTS}}}\n]<|END_ACTION|>',
    "deepseek_v3": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n"
    f"```json\n{ARGUMENTS}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "deepseek_v31": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>"
    f"{ARGUMENTS}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "deepseek_v32": '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n'
    '<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n'
    '<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n'
    "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
    "ernie45": f"<tool_call>\n{JSON}\n</tool_call>",
    "functiongemma": "<start_function_call>call:get_weather{city:<escape>Paris<escape>,"
    "days:<escape>2<escape>}"
    "<end_function_call>",
    "gemma4": '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>,days:2}<tool_call|>',
    "glm45": f"<tool_call>{KEYS}</tool_call>",
    "glm47": f"<tool_call>{KEYS}</tool_call>",
    "granite": f"<|tool_call|>[{JSON}]",
    "granite4": f"<tool_call>\n{JSON}\n</tool_call>",
    "hermes": f"<tool_call>\n{JSON}\n</tool_call>",
    "hunyuan_a13b": f"<tool_calls>[{JSON}]</tool_calls>",
    "internlm": f"<|action_start|><|plugin|>\n{JSON}<|action_end|>",
    "jamba": f"<tool_calls>[\n{JSON}\n]</tool_calls>",
    "kimi_k2": "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
    f"<|tool_call_argument_begin|>{ARGUMENTS}<|tool_call_end|><|tool_calls_section_end|>",
    "lfm2": f"<|tool_call_start|>[{PYTHON}]<|tool_call_end|>",
    "llama3_json": f"<|python_tag|>{JSON}",
    "llama4_pythonic": f"<|python_start|>[{PYTHON}]<|python_end|>",
    "longcat": f"<longcat_tool_call>\n{JSON}\n</longcat_tool_call>",
    "minimax_m2": '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris'
    '</parameter>\n<parameter name="days">2</parameter>\n</invoke>\n</minimax:tool_call>',
    "mistral": f"[TOOL_CALLS]get_weather[ARGS]{ARGUMENTS}",
    "olmo3": f"<function_calls>\n{PYTHON}\n</function_calls>",
    "phi4_mini_json": f"functools[{JSON}]",
    "poolside_v1": f"<tool_call>{KEYS}</tool_call>",
    "pythonic": f"[{PYTHON}]",
    "qwen3_coder": f"<tool_call>\n{XML}\n</tool_call>",
    "seed_oss": f"<seed:tool_call>\n{XML}\n</seed:tool_call>",
    "step3p5": f"<tool_call>\n{XML}\n</tool_call>",
    "xlam": f"<tool_call>[{JSON}]</tool_call>",
}
SPECIAL_TOKENS = [
    *("<|tools_prefix|>", "<|tools_suffix|>", "[TOOL_CALLS]", "[ARGS]", "｜DSML｜"),
    *("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁sep｜>"),
    *("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<think>", "</think>"),
    *("<tool_call>", "</tool_call>", "<|tool_call|>", "<|tool_call>", "<tool_call|>", '<|"|>'),
    *("<start_function_call>", "<end_function_call>", "<escape>", "<|channel>", "<channel|>"),
    *("<tool_calls>", "</tool_calls>", "<|action_start|>", "<|action_end|>", "<|plugin|>"),
    *("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>"),
    *("<|tool_call_argument_begin|>", "<|tool_call_end|>", "<|python_tag|>", "[THINK]"),
    *("<|tool_call_start|>", "<|tool_call_end|>", "<|python_start|>", "<|python_end|>"),
    *("<longcat_tool_call>", "</longcat_tool_call>", "<minimax:tool_call>", "[/THINK]"),
    *("</minimax:tool_call>", "<seed:tool_call>", "</seed:tool_call>", "<seed:think>"),
    *("</seed:think>", "<|im_start|>", "<|im_end|>"),
]


def tiny_tokenizer(special_tokens: list[str]) -> Tokenizer:
    """Give a tokenizer of bytes and these tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    backend = Backend(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.add_special_tokens([AddedToken(text, special=True) for text in special_tokens])
    kind: Any = PreTrainedTokenizerFast
    return cast(Tokenizer, kind(tokenizer_object=backend))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tiny_tokenizer(SPECIAL_TOKENS)


@pytest.fixture(scope="module")
def demo_tokenizer() -> Tokenizer:
    return cast(Tokenizer, AutoTokenizer.from_pretrained(DEMO))


def reader(name: str, tokenizer: Tokenizer, tools: list[dict[str, Any]] | None = None) -> TagReader:
    ready = ReadyEngine(cast(Engine, SimpleNamespace(tokenizer=tokenizer)))
    blocks = BlockReader(ready, TOOLS[name], tools or [TOOL])
    return TagReader(None, ToolCallSplitter(TOOLS[name].blocks, blocks))


def test_every_format_is_tried_here() -> None:
    assert CALLS.keys() == TOOLS.keys()


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_of_every_format(name: str, tokenizer: Tokenizer) -> None:
    text = CALLS[name]
    assert await read(reader(name, tokenizer), list(text)) == Parsed(calls=[PARIS])
    if not any(each.leading for each in TOOLS[name].blocks):
        parsed = await read(reader(name, tokenizer), [f"I look.\n{text}\n"])
        assert parsed == Parsed(content="I look.", calls=[PARIS])


@pytest.mark.parametrize("name", CALLS)
async def test_half_a_call_is_content(name: str, tokenizer: Tokenizer) -> None:
    text = CALLS[name]
    half = text[: text.index("Par") + 2]
    assert await read(reader(name, tokenizer), [half]) == Parsed(content=half)


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_without_calls(name: str, tokenizer: Tokenizer) -> None:
    text = "It is 22 °C in Paris <today>, [see] {this}."
    assert await read(reader(name, tokenizer), list(text)) == Parsed(content=text)


@pytest.mark.parametrize("name", CALLS)
async def test_marks_around_nonsense(name: str, tokenizer: Tokenizer) -> None:
    opening = TOOLS[name].blocks[0]
    text = f"{opening.opening}}}]nonsense\n\n]({{'{opening.closing or ''}"
    parsed = await read(reader(name, tokenizer), [text])
    assert not parsed.calls
    assert parsed.content == text


@pytest.mark.parametrize(
    ("name", "text", "calls"),
    [
        ("mistral", f"[TOOL_CALLS] [{JSON}, {JSON}]", 2),
        ("mistral", f"[TOOL_CALLS]get_weather{ARGUMENTS}[TOOL_CALLS]get_weather{ARGUMENTS}", 2),
        ("llama3_json", f"{JSON}; {JSON}", 2),
        ("llama3_json", JSON.replace("arguments", "parameters"), 1),
        ("llama3_json", '{"name": "Paris", "parameters": {}}', 0),
        ("llama4_pythonic", f"[{PYTHON}, {PYTHON}]", 2),
        ("pythonic", "[1, 2]", 0),
        ("qwen3_coder", XML, 1),
        ("qwen3_coder", f"<tool_call>{XML}</tool_call>\n<tool_call>{XML}</tool_call>", 2),
        ("hermes", f"<tool_call>{JSON}</tool_call>\n<tool_call>{JSON}", 2),
        ("hermes", '<tool_call>{"name": "get_weather"}</tool_call>', 1),
        ("granite", f"<tool_call>[{JSON}]", 1),
    ],
)
async def test_other_forms_of_a_format(
    name: str, text: str, calls: int, tokenizer: Tokenizer
) -> None:
    parsed = await read(reader(name, tokenizer), [text])
    assert len(parsed.calls) == calls
    assert parsed.content == ("" if calls else text)


async def test_a_tool_that_was_not_offered_is_called_all_the_same(tokenizer: Tokenizer) -> None:
    text = CALLS["hermes"].replace("get_weather", "get_time")
    parsed = await read(reader("hermes", tokenizer), [text])
    assert parsed == Parsed(calls=[Call("get_time", ARGUMENTS)])


async def test_blocks_are_read_on_the_tokenizer_s_thread(tokenizer: Tokenizer) -> None:
    """Without a parser as well: others' answers go on meanwhile."""
    ready = ReadyEngine(cast(Engine, SimpleNamespace(tokenizer=tokenizer)))
    read_block = BlockReader(ready, tagged_tools("<call>"), [TOOL])
    [block] = BlockSplitter(tagged_tools("<call>").blocks).feed(f"<call>{JSON}</call>")
    assert isinstance(block, Block)
    begun = threading.Event()
    waiting = asyncio.create_task(ready.render(lambda _: begun.wait(10)))
    reading = asyncio.create_task(read_block(block))
    await asyncio.sleep(0.05)
    assert not reading.done()
    begun.set()
    assert await waiting
    assert await reading == Reading([PARIS])


async def test_a_tokenizer_that_the_parser_refuses() -> None:
    plain = tiny_tokenizer([])
    parsed = await read(reader("llama3_json", plain), [CALLS["llama3_json"]])
    assert parsed == Parsed(calls=[PARIS])
    text = CALLS["deepseek_v31"]
    assert await read(reader("deepseek_v31", plain), [text]) == Parsed(calls=[PARIS])
    text = CALLS["lfm2"]
    assert await read(reader("lfm2", plain), [text]) == Parsed(content=text)


def test_a_parser_that_fails(tokenizer: Tokenizer) -> None:
    """This one reads streams only; the other there is not."""
    assert vllm_parsers.read_block("cohere_command3", tokenizer, [TOOL], "[]") == []
    assert vllm_parsers.read_block("none", tokenizer, [TOOL], "[]") == []


async def test_a_tool_that_vllm_would_not_take(tokenizer: Tokenizer) -> None:
    tools: list[dict[str, Any]] = [{"function": {"name": "get_weather", "parameters": 3}}]
    parsed = await read(reader("qwen3_coder", tokenizer, tools), [CALLS["qwen3_coder"]])
    assert [call.name for call in parsed.calls] == ["get_weather"]


async def test_the_demo_model_in_any_pieces(demo_tokenizer: Tokenizer) -> None:
    for parts in ways(f"Wait.\n{CALLS['hermes']}\n{CALLS['hermes']}\n"):
        parsed = await read(reader("hermes", demo_tokenizer), parts)
        assert parsed == Parsed(content="Wait.", calls=[PARIS, PARIS])


@pytest.mark.parametrize("name", [name for name, each in THINKING.items() if each.parser])
def test_the_tags_of_thoughts_are_vllms(name: str, tokenizer: Tokenizer) -> None:
    assert vllm_parsers.thinking_tags(THINKING[name].parser, tokenizer) == THINKING[name].tags


def test_tags_of_thoughts_for_the_demo_model(demo_tokenizer: Tokenizer) -> None:
    tags = Tags("<think>", "</think>")
    assert vllm_parsers.thinking_tags("qwen3", demo_tokenizer) == tags
    assert vllm_parsers.thinking_tags("deepseek_r1", demo_tokenizer) == tags


def test_a_reasoning_parser_that_refuses_a_tokenizer() -> None:
    assert vllm_parsers.thinking_tags("deepseek_r1", tiny_tokenizer([])) is None
