"""vLLM's parsers: what they say of thoughts, and reading tool calls with them.

Importing this module imports vLLM: only what runs after an engine's start does it.

A complete block is read, not a stream. vLLM's streaming parsers want the text of a step to
match its tokens, which it does not where stop strings hold text back, and many of them give
other results for other pieces of the same text.
"""

import logging
from collections.abc import Sequence
from typing import Any, cast

from pydantic import ValidationError
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager

from workers.engine import Tokenizer
from workers.output.json_calls import Call, arguments_text
from workers.output.tags import Tags

logger = logging.getLogger(__name__)


def thinking_tags(parser: str, tokenizer: Tokenizer) -> Tags | None:
    """Give the tags that a reasoning parser looks for.

    None where it names none, or refuses the tokenizer.
    """
    try:
        found = ReasoningParserManager.get_reasoning_parser(parser)(cast(Any, tokenizer))
    except Exception as error:  # they raise what they like
        logger.info("the reasoning parser %s does not take this model: %s", parser, error)
        return None
    opening, closing = found.reasoning_start_str, found.reasoning_end_str
    return Tags(opening, closing) if opening and closing else None


def read_block(
    parser: str, tokenizer: Tokenizer, tools: Sequence[dict[str, Any]], block: str
) -> list[Call]:
    """Read a block of tool calls; nothing where the parser finds none or one is malformed."""
    request = _request(tools)
    try:
        kind = ToolParserManager.get_tool_parser(parser)
        reader = kind(cast(Any, tokenizer), cast(Any, request.tools))
        if hasattr(reader, "skip_reasoning_parsing"):
            reader.skip_reasoning_parsing = True  # thoughts have been taken apart before
        found = reader.extract_tool_calls(block, request)
    except Exception as error:  # as above, and of whatever a model wrote
        logger.warning("the tool parser %s cannot read a block: %s", parser, error)
        return []
    functions = [call.function for call in found.tool_calls]
    calls = [(each.name, arguments_text(each.arguments)) for each in functions]
    if any(arguments is None or not name.strip() for name, arguments in calls):
        return []
    return [Call(name, arguments) for name, arguments in calls if arguments is not None]


def _request(tools: Sequence[dict[str, Any]]) -> ChatCompletionRequest:
    """Give what parsers look up the tools' schemas in; without tools that vLLM cannot take."""
    empty: dict[str, Any] = {"messages": []}
    try:
        return ChatCompletionRequest.model_validate({**empty, "tools": list(tools)})
    except ValidationError:
        return ChatCompletionRequest.model_validate(empty)
