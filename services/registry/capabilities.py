"""What a model can do, told from its files."""

from collections.abc import Collection, Iterator, Mapping
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

FILL_IN_THE_MIDDLE = frozenset(
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

_ALWAYS_THINKING = ("gptoss", "gpt-oss")

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
    vision = {VISION} if sees_images else set()
    return arrange({COMPLETION, *vision, *_of_files(chat_templates, tokens)})


def infer_gguf_capabilities(
    architecture: str,
    *,
    pools: bool,
    chat_templates: Collection[ChatTemplate],
    tokens: Collection[str],
) -> tuple[str, ...]:
    """Tell what a GGUF model can do.

    Args:
        architecture: its `general.architecture`.
        pools: it says how to pool tokens into one vector.
        chat_templates: its Jinja templates.
        tokens: of its vocabulary, at least those that serve to fill in the middle.
    """
    if pools or "bert" in architecture:
        return (EMBEDDING,)
    thinking = {THINKING} if architecture in _ALWAYS_THINKING else set()
    return arrange({COMPLETION, *thinking, *_of_files(chat_templates, tokens)})


def _of_files(chat_templates: Collection[ChatTemplate], tokens: Collection[str]) -> Iterator[str]:
    if any("tools" in template.variables for template in chat_templates):
        yield TOOLS
    if not FILL_IN_THE_MIDDLE.isdisjoint(tokens):
        yield INSERT
    if any(mark in template.text for template in chat_templates for mark in _THINKING_MARKS):
        yield THINKING


def infer_ollama_capabilities(
    of_template: Collection[str], families: Collection[str], *, pools: bool
) -> tuple[str, ...]:
    """Tell what a model with a Go template can do whose config blob does not say it.

    Args:
        of_template: what its Go template is for.
        families: of its config blob.
        pools: its weights say how to pool tokens into one vector.
    """
    if pools or any("bert" in family for family in families):
        return (EMBEDDING,)
    return arrange({COMPLETION, *of_template})


def without_images(capabilities: Collection[str]) -> tuple[str, ...]:
    """Leave out what no engine does with GGUF weights: take images beside them."""
    return tuple(name for name in capabilities if name != VISION)


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
