"""Reads a block of tool calls: with vLLM's parser for its format, else as JSON."""

import re
from collections.abc import Sequence
from typing import Any

from workers.engine import Tokenizer
from workers.output.blocks import Block
from workers.output.formats import ToolFormat
from workers.output.json_calls import Call, Reading, ToolNames, read_json_calls
from workers.slot import ReadyEngine

_NAME = re.compile(r"[\w./:-]+")


class BlockReader:
    """Reads the blocks of one answer.

    Where vLLM has a parser it counts, also for a tool that was not on offer: whoever runs the
    tools tells the model. Where JSON alone marks a call, it must name a tool on offer.
    """

    def __init__(
        self, ready: ReadyEngine, tool_format: ToolFormat, tools: Sequence[dict[str, Any]]
    ) -> None:
        self._ready = ready
        self._parser = tool_format.parser
        self._tools = tools
        self._names = ToolNames(filter(None, map(_name, tools)))

    async def __call__(self, block: Block) -> Reading:
        """Give the calls of a block and the text in it that belongs to none."""
        if block.format.strict and not block.closed:
            return Reading(rest=block.text)
        # On the tokenizer's thread: parsers look at it, and any reading may take its time.
        return await self._ready.render(lambda tokenizer: self._read(tokenizer, block))

    def _read(self, tokenizer: Tokenizer, block: Block) -> Reading:
        calls = self._parse(tokenizer, block) if self._parser else []
        if calls and all(self._is_valid(call, block) for call in calls):
            return Reading(calls)
        return read_json_calls(block.text, self._names)

    def _parse(self, tokenizer: Tokenizer, block: Block) -> list[Call]:
        from workers.output import vllm_parsers  # seconds, were vLLM not imported by now

        return vllm_parsers.read_block(self._parser, tokenizer, self._tools, block.text)

    def _is_valid(self, call: Call, block: Block) -> bool:
        if block.format.leading:
            return call.name in self._names
        return call.name in self._names or _NAME.fullmatch(call.name) is not None


def _name(tool: dict[str, Any]) -> str:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("name")
    return name if isinstance(name, str) else ""
