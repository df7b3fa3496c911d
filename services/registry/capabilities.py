"""What a model can do, told from its files."""

from collections.abc import Collection, Mapping
from typing import Any

from services.registry.chat_template import ChatTemplate

COMPLETION = "completion"
TOOLS = "tools"
INSERT = "insert"
VISION = "vision"
EMBEDDING = "embedding"
THINKING = "thinking"

_GENERATIVE = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
_ENCODER = ("Model", "Encoder")

_FILL_IN_THE_MIDDLE = frozenset(
    {
        "<|fim_prefix|>",
        "<fim_prefix>",
        "<fim-prefix>",
        "<|fim_begin|>",
        "<｜fim▁begin｜>",  # noqa: RUF001
        "<PRE>",
        "▁<PRE>",
        "<|code_prefix|>",
        "[PREFIX]",
    }
)

_THINKING_MARKS = ("enable_thinking", "<think>", "reasoning_content")

_BY_TEMPLATE = frozenset({TOOLS, INSERT, THINKING})
_ORDER = (COMPLETION, EMBEDDING, VISION, TOOLS, INSERT, THINKING)


def infer_capabilities(
    architectures: Collection[str],
    *,
    chat_templates: Collection[ChatTemplate] = (),
    tokens: Collection[str] = (),
    sees_images: bool = False,
    is_sentence_transformer: bool = False,
) -> tuple[str, ...]:
    """Tell what a Hugging Face model can do.

    Args:
        architectures: class names of its `config.json`.
        chat_templates: all its Jinja templates.
        tokens: its tokenizer's added tokens.
        sees_images: it has a vision tower.
        is_sentence_transformer: its folder says how to pool tokens into one vector, which
            makes an embedding model of any architecture.
    """
    if is_sentence_transformer:
        return (EMBEDDING,)
    if not any(name.endswith(_GENERATIVE) for name in architectures):
        return (EMBEDDING,) if any(name.endswith(_ENCODER) for name in architectures) else ()
    found = {
        COMPLETION: True,
        VISION: sees_images,
        TOOLS: any("tools" in template.variables for template in chat_templates),
        INSERT: not _FILL_IN_THE_MIDDLE.isdisjoint(tokens),
        THINKING: any(
            mark in template.text for template in chat_templates for mark in _THINKING_MARKS
        ),
    }
    return tuple(name for name, present in found.items() if present)


def infer_ollama_capabilities(
    of_template: Collection[str], families: Collection[str], has_projector: bool
) -> tuple[str, ...]:
    """Tell what a model of Ollama's can do whose config blob does not say it."""
    if any("bert" in family for family in families):
        return (EMBEDDING,)
    return arrange({COMPLETION, *of_template, *([VISION] if has_projector else ())})


def replace_template(
    capabilities: Collection[str], of_template: Collection[str]
) -> tuple[str, ...]:
    """Tell what a model can do that gets a Go template.

    The template then renders every prompt, so it alone decides about tools, insertion and
    thinking, whatever the tokenizer's own would do.
    """
    if COMPLETION not in capabilities:
        return tuple(capabilities)
    return arrange({*capabilities} - _BY_TEMPLATE | {*of_template})


def arrange(capabilities: Collection[str]) -> tuple[str, ...]:
    """Put capabilities into Ollama's order, those that it does not know last."""
    known = [name for name in _ORDER if name in capabilities]
    return (*known, *sorted({*capabilities}.difference(_ORDER)))


def sees_images(config: Mapping[str, Any], processors: Collection[Mapping[str, Any]]) -> bool:
    """Tell from `config.json` and the processors' files whether a model takes images."""
    return "vision_config" in config or any(
        "image_processor" in processor or "image_processor_type" in processor
        for processor in processors
    )
