"""Which format a model's answers have: a pure choice from what is known of the model.

In this order: the PARSER of its Modelfile, since somebody stated it; the tags of the Go
template in force, since the prompt shows the model calls in that form, whatever its family
was trained on (a qwen3 from Ollama's registry brings such a template, with `<tool_call>`); the
marks in the tokenizer's own template; the tokens that were added to the vocabulary for such
marks; the family's name.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from workers.output.formats import (
    COHERE_ANSWER,
    THINKING,
    TOOLS,
    ThinkingFormat,
    ToolFormat,
    tagged_tools,
)
from workers.output.tags import Tags


@dataclass(frozen=True)
class Clues:
    """What is known of a model's answers."""

    parser: str = ""
    """As a Modelfile's PARSER names it."""
    families: Collection[str] = ()
    template: str = ""
    """The Go template in force; empty: the tokenizer's own is."""
    thinking_tags: Tags | None = None
    """Of the Go template."""
    tool_tag: str | None = None
    """Of the Go template."""
    chat_template: str = ""
    """The tokenizer's own."""
    added_tokens: Collection[str] = ()
    """Those of the vocabulary that stand for a fixed text."""


@dataclass(frozen=True)
class Choice:
    """How a model marks its thoughts and its tool calls."""

    thinking: ThinkingFormat | None
    tools: ToolFormat | None
    harmony: bool = False
    """The format of gpt-oss, which is messages rather than marks."""
    wrapping: tuple[str, ...] = ()
    """Marks around the answer, which are not part of it."""


_DEFAULT_THINKING = "deepseek_r1"
_NOTHING = Choice(None, None)
_HARMONY = Choice(None, None, harmony=True)

# Ollama's parsers: how they take thoughts, and how tool calls.
_PARSERS: Mapping[str, tuple[str | None, str | None]] = {
    "cogito": ("deepseek_r1", "deepseek_v3"),
    "deepseek3": ("deepseek_r1", "deepseek_v31"),
    "functiongemma": (None, "functiongemma"),
    "gemma4": ("gemma4", "gemma4"),
    "gemma4-no-thinking": (None, "gemma4"),
    "glm-4.7": ("glm45", "glm45"),
    "glm-ocr": ("glm45", "glm45"),
    "laguna": ("glm45", "poolside_v1"),
    "lfm2": (None, "lfm2"),
    "lfm2-thinking": ("deepseek_r1", "lfm2"),
    "ministral": ("mistral", "mistral"),
    "nemotron-3-nano": ("nemotron_v3", "qwen3_coder"),
    "nemotron-3.5-nano": ("nemotron_v3", "qwen3_coder"),
    "olmo3": (None, "olmo3"),
    "olmo3-think": ("olmo3", "olmo3"),
    "ornith": ("qwen3", "qwen3_coder"),
    "poolside-v1": ("glm45", "poolside_v1"),
    "qwen3": (None, "hermes"),
    "qwen3-coder": (None, "qwen3_coder"),
    "qwen3-thinking": ("qwen3", "hermes"),
    "qwen3-vl-instruct": (None, "hermes"),
    "qwen3-vl-thinking": ("qwen3", "hermes"),
    "qwen3.5": ("qwen3", "qwen3_coder"),
}

# The first that a template or a vocabulary contains counts: what is found in several
# families' templates stands below what tells them apart.
_TOOL_MARKS = (
    (("<|START_ACTION|>",), "cohere"),
    (("｜DSML｜",), "deepseek_v32"),  # noqa: RUF001
    (("<｜tool▁calls▁begin｜>", "```json"), "deepseek_v3"),  # noqa: RUF001
    (("<｜tool▁calls▁begin｜>",), "deepseek_v31"),  # noqa: RUF001
    (("[TOOL_CALLS]",), "mistral"),
    (("<|tool_calls_section_begin|>",), "kimi_k2"),
    (("<minimax:tool_call>",), "minimax_m2"),
    (("<seed:tool_call>",), "seed_oss"),
    (("<longcat_tool_call>",), "longcat"),
    (("<|tool_call_start|>",), "lfm2"),
    (("<|tools_prefix|>",), "apertus"),
    (("<start_function_call>",), "functiongemma"),
    (("<tool_call|>",), "gemma4"),
    (("<|action_start|>",), "internlm"),
    (("<function_calls>",), "olmo3"),
    (("functools[",), "phi4_mini_json"),
    (("<tool_call>", "<arg_key>"), "glm45"),
    (("<tool_call>", "<function="), "qwen3_coder"),
    (("<|tool_call|>",), "granite"),
    (("<tool_calls>",), "hunyuan_a13b"),
    (("<tool_call>",), "hermes"),
    (("<|python_start|>",), "llama4_pythonic"),
    (("<|python_tag|>",), "llama3_json"),
)
_THINKING_MARKS = (
    (("<|START_THINKING|>",), "cohere"),
    (("[THINK]",), "mistral"),
    (("<seed:think>",), "seed_oss"),
    (("<|channel>",), "gemma4"),
    (("my thought process:",), "granite"),
    (("<think>", "<tool_call>"), "qwen3"),
    (("<think>",), "deepseek_r1"),
)
_TOOL_FAMILIES = {
    "cohere2": "cohere",
    "deepseek3": "deepseek_v31",
    "gemma4": "gemma4",
    "granite": "granite",
    "kimi_k2": "kimi_k2",
    "ministral": "mistral",
    "mistral": "mistral",
    "mistral3": "mistral",
    "olmo3": "olmo3",
    "qwen2": "hermes",
    "qwen3": "hermes",
    "qwen3moe": "hermes",
    "qwen3_moe": "hermes",
}
_THINKING_FAMILIES = {
    "cohere2": "cohere",
    "gemma4": "gemma4",
    "granite": "granite",
    "ministral": "mistral",
    "mistral": "mistral",
    "mistral3": "mistral",
    "seed_oss": "seed_oss",
}
COHERE_FAMILIES = frozenset({"cohere2", "cohere2_moe", "cohere2_vision"})
HARMONY_FAMILIES = frozenset({"gptoss", "gpt-oss", "gpt_oss"})


def choose(clues: Clues) -> Choice:
    """Choose the format of a model's answers; without any clue, Ollama's defaults."""
    if clues.parser == "passthrough":
        return _NOTHING
    if clues.parser == "harmony":
        return _HARMONY
    if clues.parser in _PARSERS:
        thinking, tools = _PARSERS[clues.parser]
        return Choice(THINKING[thinking] if thinking else None, TOOLS[tools] if tools else None)
    if _is_harmony(clues):
        return _HARMONY
    wrapping = () if COHERE_FAMILIES.isdisjoint(clues.families) else COHERE_ANSWER
    return Choice(_thinking(clues), _tools(clues), wrapping=wrapping)


def _is_harmony(clues: Clues) -> bool:
    template = clues.template or clues.chat_template
    if HARMONY_FAMILIES.isdisjoint(clues.families):
        return "<|channel|>" in template and "<|message|>" in template
    return not template or "<|start|>" in template


def _thinking(clues: Clues) -> ThinkingFormat:
    if clues.thinking_tags:
        return ThinkingFormat(clues.thinking_tags)
    name = _marked(_THINKING_MARKS, clues) or _of_family(_THINKING_FAMILIES, clues)
    return THINKING[name or _DEFAULT_THINKING]


def _tools(clues: Clues) -> ToolFormat:
    if clues.template:
        return tagged_tools(clues.tool_tag or "{")
    name = _marked(_TOOL_MARKS, clues) or _of_family(_TOOL_FAMILIES, clues)
    return TOOLS[name] if name else tagged_tools("{")


def _marked(marks: Sequence[tuple[tuple[str, ...], str]], clues: Clues) -> str | None:
    for place in (clues.chat_template, clues.added_tokens):
        for needed, name in marks:
            if all(mark in place for mark in needed):
                return name
    return None


def _of_family(families: Mapping[str, str], clues: Clues) -> str | None:
    return next((families[each] for each in clues.families if each in families), None)
