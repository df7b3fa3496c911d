"""How a chat template is told whether to think: each family reads a variable of its own."""

import functools
import re
from dataclasses import dataclass
from typing import Any

import jinja2.meta
import jinja2.nodes

from protos.paddock.v1 import generation_pb2
from protos.paddock.v1.generation_pb2 import Think

# Whether to think. Qwen3, GLM, Gemma and most others; Granite and DeepSeek; Cohere.
_SWITCHES = ("enable_thinking", "thinking", "reasoning")
# How much. gpt-oss, Mistral, Hunyuan.
_EFFORT = "reasoning_effort"
# The words for each level, the plainest first; the last that a template has is used.
_LEVELS = {
    generation_pb2.THINK_LOW: ("low",),
    generation_pb2.THINK_MEDIUM: ("medium",),
    generation_pb2.THINK_HIGH: ("high",),
    generation_pb2.THINK_MAX: ("high", "xhigh", "max"),
}
_NO_EFFORT = ("none", "no_think")

# A tag of transformers' own, without meaning for what is rendered.
_GENERATION_TAG = re.compile(r"\{%[-+]?\s*(end)?generation\s*[-+]?%\}")


@dataclass(frozen=True)
class Vocabulary:
    """What a template's code mentions."""

    variables: frozenset[str] = frozenset()
    """That it expects from outside."""
    words: frozenset[str] = frozenset()
    """The texts that it prints or compares with."""


def thinking_arguments(template: str, think: Think.ValueType) -> dict[str, Any]:
    """Give the variables that make a Jinja template think, or not; only those that it reads.

    A template is told nothing where it has no word for what is asked: its default holds.
    """
    found = _read(template)
    on = think not in (generation_pb2.THINK_UNSPECIFIED, generation_pb2.THINK_OFF)
    arguments: dict[str, Any] = {}
    for switch in _SWITCHES:
        if switch in found.variables:
            arguments[switch] = on
            break
    if _EFFORT in found.variables:
        effort = _effort(think, found.words, is_only_way=not arguments) if on else _off(found.words)
        if effort:
            arguments[_EFFORT] = effort
    return arguments


def _effort(think: Think.ValueType, words: frozenset[str], *, is_only_way: bool) -> str | None:
    if think in _LEVELS:
        levels = _LEVELS[think]
        return next((word for word in reversed(levels) if word in words), levels[0])
    # A template that can be told not to think, and by this alone, may not think by default.
    return "high" if is_only_way and _off(words) else None


def _off(words: frozenset[str]) -> str | None:
    return next((word for word in _NO_EFFORT if word in words), None)


@functools.lru_cache(maxsize=32)
def _read(template: str) -> Vocabulary:
    environment = jinja2.Environment(extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"])
    try:
        tree = environment.parse(_GENERATION_TAG.sub("", template))
    except jinja2.TemplateError:
        return Vocabulary()  # rendering will say what is wrong
    constants = (node.value for node in tree.find_all(jinja2.nodes.Const))
    return Vocabulary(
        frozenset(jinja2.meta.find_undeclared_variables(tree)),
        frozenset(word for word in constants if isinstance(word, str)),
    )
