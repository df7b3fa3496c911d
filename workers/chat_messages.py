"""Messages in the form that chat templates are written for, which is OpenAI's."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from protos.paddock.v1.generation_pb2 import Message, ToolCall

Content = str | list[dict[str, str]]


class CallIds:
    """Names for tool calls, as templates want them: each call has one, each result its call's.

    Clients of Ollama's API leave them out and name the tool instead.
    """

    def __init__(self, *, short: bool) -> None:
        self._short = short
        self._names: dict[str, str] = {}
        self._given: dict[str, str] = {}
        self._open: list[tuple[str, str]] = []

    def of_call(self, call: ToolCall) -> str:
        """Give a call's id: its own, or a made one of nine letters and digits.

        Mistral's templates accept no others; `short` makes them in any case.
        """
        number = f"call{len(self._names):05}"
        made = number if self._short or not call.id else call.id
        self._names[made] = call.name
        self._given[call.id or made] = made
        self._open.append((made, call.name))
        return made

    def of_result(self, message: Message) -> tuple[str, str]:
        """Give the id and the tool's name that a result belongs to; empty where unknown."""
        if message.tool_call_id:
            made = self._given.get(message.tool_call_id, message.tool_call_id)
        else:
            named = [made for made, name in self._open if name == message.tool_name]
            first = [made for made, _ in self._open[:1] if not message.tool_name]
            made = (named or first or [""])[0]
        self._open = [each for each in self._open if each[0] != made]
        return made, message.tool_name or self._names.get(made, "")


def plain_messages(
    messages: Sequence[Message],
    content: Callable[[Message], Content],
    *,
    short_ids: bool = False,
    arguments_as_text: bool = False,
) -> list[dict[str, Any]]:
    """Give a conversation as templates take it, its texts and images as `content` makes them."""
    ids = CallIds(short=short_ids)
    plain: list[dict[str, Any]] = []
    for message in messages:
        made: dict[str, Any] = {"role": message.role, "content": content(message)}
        if message.thinking:
            made |= _thinking(message)
        if message.tool_calls:
            made["tool_calls"] = [
                _call(call, ids.of_call(call), arguments_as_text) for call in message.tool_calls
            ]
        if message.role == "tool":
            made["tool_call_id"], made["name"] = ids.of_result(message)
        plain.append({key: value for key, value in made.items() if value or key == "content"})
    return plain


def _thinking(message: Message) -> dict[str, str]:
    """Name a thought as the families do: Qwen and most, vLLM, gpt-oss.

    gpt-oss takes none beside a call and a text.
    """
    names = ["reasoning_content", "reasoning"]
    if not (message.content and message.tool_calls):
        names.append("thinking")
    return dict.fromkeys(names, message.thinking)


def _call(call: ToolCall, made_id: str, arguments_as_text: bool) -> dict[str, Any]:
    text = call.arguments_json or "{}"
    arguments = text if arguments_as_text else orjson.loads(text)
    return {
        "type": "function",
        "id": made_id,
        "function": {"name": call.name, "arguments": arguments},
    }
