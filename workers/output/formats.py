"""How model families mark their thoughts and tool calls, and vLLM's parsers for them.

The names are vLLM's (`--reasoning-parser`, `--tool-call-parser`). vLLM's reasoning parsers
say which tags they look for; what is written here counts where they do not, or where they
refuse a tokenizer that splits the tags. Its tool parsers read the text of a complete block;
where one begins and ends stands here.
"""

import re
from dataclasses import dataclass

from workers.output.blocks import BlockFormat
from workers.output.tags import Tags

_THINK = Tags("<think>", "</think>")
_TOOL_CALL = BlockFormat("<tool_call>", "</tool_call>")
_TAG = re.compile(r"<([^/<>|][^<>|]*)>")


@dataclass(frozen=True)
class ThinkingFormat:
    """How a thought is marked."""

    tags: Tags
    parser: str = ""
    """vLLM's reasoning parser, which knows the tags better; empty: there is none that does."""


@dataclass(frozen=True)
class ToolFormat:
    """How tool calls are marked, and what reads them."""

    blocks: tuple[BlockFormat, ...]
    parser: str = ""
    """vLLM's tool parser; empty: they are JSON objects."""


THINKING = {
    "cohere": ThinkingFormat(Tags("<|START_THINKING|>", "<|END_THINKING|>")),
    "deepseek_r1": ThinkingFormat(_THINK, "deepseek_r1"),
    # vLLM's tags leave a heading in the thought.
    "gemma4": ThinkingFormat(Tags("<|channel>thought", "<channel|>")),
    "glm45": ThinkingFormat(_THINK, "glm45"),
    "granite": ThinkingFormat(Tags("Here is my thought process:", "Here is my response:")),
    "kimi_k2": ThinkingFormat(_THINK, "kimi_k2"),
    "minimax_m2": ThinkingFormat(_THINK, "minimax_m2"),
    "mistral": ThinkingFormat(Tags("[THINK]", "[/THINK]"), "mistral"),
    "nemotron_v3": ThinkingFormat(_THINK, "nemotron_v3"),
    "olmo3": ThinkingFormat(_THINK),
    "qwen3": ThinkingFormat(_THINK, "qwen3"),
    "seed_oss": ThinkingFormat(Tags("<seed:think>", "</seed:think>"), "seed_oss"),
}


def _sections(opening: str, closing: str, *, strict: bool = False) -> tuple[BlockFormat, ...]:
    return (BlockFormat(opening, closing, strict=strict),)


_DEEPSEEK = _sections("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")  # noqa: RUF001
_XML_FUNCTION = (
    BlockFormat("<tool_call>", "</tool_call>", strict=True),
    BlockFormat("<function=", "</function>", strict=True),
)
_ARGUMENT_TAGS = _sections("<tool_call>", "</tool_call>", strict=True)

_BLOCKS: dict[str, tuple[BlockFormat, ...]] = {
    "apertus": _sections("<|tools_prefix|>", "<|tools_suffix|>", strict=True),
    "deepseek_v3": _DEEPSEEK,
    "deepseek_v31": _DEEPSEEK,
    "deepseek_v32": _sections(
        "<｜DSML｜function_calls>",  # noqa: RUF001
        "</｜DSML｜function_calls>",  # noqa: RUF001
        strict=True,
    ),
    "ernie45": (_TOOL_CALL,),
    "functiongemma": _sections("<start_function_call>", "<end_function_call>", strict=True),
    "gemma4": _sections("<|tool_call>", "<tool_call|>", strict=True),
    "glm45": _ARGUMENT_TAGS,
    "glm47": _ARGUMENT_TAGS,
    "granite": (BlockFormat("<|tool_call|>"), BlockFormat("<tool_call>")),
    "granite4": (_TOOL_CALL,),
    "hermes": (_TOOL_CALL,),
    "hunyuan_a13b": _sections("<tool_calls>", "</tool_calls>"),
    "internlm": _sections("<|action_start|>", "<|action_end|>"),
    "jamba": _sections("<tool_calls>", "</tool_calls>"),
    "kimi_k2": _sections("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    "lfm2": _sections("<|tool_call_start|>", "<|tool_call_end|>"),
    "llama3_json": (BlockFormat("<|python_tag|>"), BlockFormat("{", leading=True)),
    "llama4_pythonic": (
        BlockFormat("<|python_start|>", "<|python_end|>"),
        BlockFormat("[", leading=True),
    ),
    "longcat": _sections("<longcat_tool_call>", "</longcat_tool_call>"),
    "minimax_m2": _sections("<minimax:tool_call>", "</minimax:tool_call>", strict=True),
    "mistral": (BlockFormat("[TOOL_CALLS]"),),
    "olmo3": _sections("<function_calls>", "</function_calls>", strict=True),
    "phi4_mini_json": (BlockFormat("functools["),),
    "poolside_v1": _ARGUMENT_TAGS,
    "pythonic": (BlockFormat("[", leading=True),),
    "qwen3_coder": _XML_FUNCTION,
    "seed_oss": _sections("<seed:tool_call>", "</seed:tool_call>", strict=True),
    "step3p5": _ARGUMENT_TAGS,
    "xlam": (_TOOL_CALL,),
}

TOOLS = {name: ToolFormat(blocks, name) for name, blocks in _BLOCKS.items()}
# vLLM reads Cohere's answers as a whole and with another library; the calls are JSON.
TOOLS["cohere"] = ToolFormat(_sections("<|START_ACTION|>", "<|END_ACTION|>"))

COHERE_ANSWER = ("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>")
"""What Cohere's models put around an answer."""


def tagged_tools(tag: str) -> ToolFormat:
    """Give the format of calls that are JSON after a tag, as a Go template has them.

    A tag like `<name>` ends with `</name>`, another with the answer. A tag that is only a
    brace or a bracket counts at the beginning of an answer alone.
    """
    if tag in ("{", "["):
        return ToolFormat((BlockFormat(tag, leading=True),))
    name = _TAG.fullmatch(tag)
    return ToolFormat((BlockFormat(tag, f"</{name[1]}>" if name else None),))
