"""Makes what reads the answer to a request."""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import orjson

from common.model_template import ModelTemplate
from protos.paddock.v1 import generation_pb2, model_pb2
from workers.engine import Prompt, Tokenizer
from workers.output.block_reader import BlockReader
from workers.output.choice import COHERE_FAMILIES, HARMONY_FAMILIES, Choice, Clues, choose
from workers.output.formats import ThinkingFormat
from workers.output.harmony import HarmonyReader
from workers.output.marks import MarkFilter
from workers.output.reader import Reader, TagReader
from workers.output.tags import Tags
from workers.output.thinking import EmptyThoughtFilter, ThinkingSplitter
from workers.output.tool_calls import ToolCallSplitter
from workers.prompt import is_small
from workers.slot import ReadyEngine


@dataclass(frozen=True)
class _Found:
    """What the tokenizer's thread found out."""

    choice: Choice
    thinking: Tags | None
    special_tokens: frozenset[str]


_MOST_KNOWN = 16  # templates of a tokenizer; requests may bring their own
_found: WeakKeyDictionary[Tokenizer, dict[tuple[object, ...], _Found]] = WeakKeyDictionary()


async def make_reader(
    ready: ReadyEngine,
    spec: model_pb2.ModelSpec,
    generation: generation_pb2.Generation,
    prompt: Prompt,
) -> Reader | None:
    """Give what reads the answer to a prompt; None where all of it is content.

    Thoughts are looked for in the answers of models that can think, tool calls where the
    request offers tools.

    Raises:
        InvalidRequest: the Go template is wrong.
    """
    thinks = "thinking" in spec.capabilities
    tools = [orjson.loads(tool) for tool in generation.chat.tools_json]
    if not thinks and not tools and not _marks_every_answer(spec):
        return None
    found = await ready.render(
        lambda tokenizer: _known(tokenizer, spec, generation.template, thinks),
        small=is_small(generation),
    )
    if found.choice.harmony:
        raw = generation.completion.raw
        return None if raw else HarmonyReader(prompt.text, tools=bool(tools))
    thinking = splitter = None
    marks: list[str] = []
    if found.thinking:
        marks += (found.thinking.opening, found.thinking.closing)
        interrupts = _interrupts(found.choice) if tools else ()
        thinking = _thinking(found.thinking, generation.think, prompt.text, interrupts)
    if tools and (tool_format := found.choice.tools):
        marks += (each.opening for each in tool_format.blocks)
        splitter = ToolCallSplitter(tool_format.blocks, BlockReader(ready, tool_format, tools))
    wrapping = MarkFilter(found.choice.wrapping) if found.choice.wrapping else None
    if not thinking and not splitter and not wrapping:
        return None
    special = any(token in mark for token in found.special_tokens for mark in marks)
    return TagReader(thinking, splitter, wrapping=wrapping, special_tokens=special)


def _marks_every_answer(spec: model_pb2.ModelSpec) -> bool:
    families = {spec.details.family, *spec.details.families}
    marking = HARMONY_FAMILIES | COHERE_FAMILIES
    return spec.parser == "harmony" or not marking.isdisjoint(families)


def _known(tokenizer: Tokenizer, spec: model_pb2.ModelSpec, template: str, thinks: bool) -> _Found:
    """Find out once what holds for all requests with a template: parsers take long to make."""
    known = _found.setdefault(tokenizer, {})
    key = (spec.parser, spec.details.family, *spec.details.families, template, thinks)
    if key not in known:
        if len(known) >= _MOST_KNOWN:
            known.clear()
        known[key] = _find_out(tokenizer, spec, template, thinks)
    return known[key]


def _find_out(
    tokenizer: Tokenizer, spec: model_pb2.ModelSpec, template: str, thinks: bool
) -> _Found:
    added = tokenizer.added_tokens_decoder.values()
    texts = frozenset(token.content for token in added)
    choice = choose(_clues(tokenizer, spec, template, texts))
    tags = _tags(choice.thinking, tokenizer) if thinks and choice.thinking else None
    return _Found(choice, tags, frozenset(token.content for token in added if token.special))


def _clues(
    tokenizer: Tokenizer, spec: model_pb2.ModelSpec, template: str, added_tokens: frozenset[str]
) -> Clues:
    parsed = ModelTemplate.parse(template) if template else None
    tags = parsed.thinking_tags if parsed else None
    return Clues(
        parser=spec.parser,
        families=(spec.details.family, *spec.details.families),
        template=template,
        thinking_tags=Tags(*tags) if tags else None,
        tool_tag=parsed.tool_call_tag if parsed else None,
        chat_template=str(tokenizer.chat_template or ""),
        added_tokens=added_tokens,
    )


def _tags(thinking: ThinkingFormat, tokenizer: Tokenizer) -> Tags:
    """Ask vLLM's parser for the tags of a thought."""
    # Without a vocabulary to look into every parser refuses a tokenizer.
    if not thinking.parser or not hasattr(tokenizer, "get_vocab"):
        return thinking.tags
    from workers.output import vllm_parsers  # seconds, were vLLM not imported by now

    return vllm_parsers.thinking_tags(thinking.parser, tokenizer) or thinking.tags


def _interrupts(choice: Choice) -> tuple[str, ...]:
    """Give the marks that end a thought by beginning a tool call, as some models do it."""
    if not choice.tools or not choice.tools.parser:
        return ()
    return tuple(each.opening for each in choice.tools.blocks if not each.leading)


def _thinking(
    tags: Tags,
    think: "generation_pb2.Think.ValueType",
    prompt: str,
    interrupts: tuple[str, ...],
) -> ThinkingSplitter:
    opened = prompt.rstrip().endswith(tags.opening)
    if think == generation_pb2.THINK_OFF and not opened:
        return EmptyThoughtFilter(tags, opened=False)
    return ThinkingSplitter(tags, opened=opened, interrupts=interrupts)
