"""From a chat or a completion to the token ids that the engine continues."""

from typing import Any

import jinja2
import orjson

from common.errors import CapabilityMissing, InvalidRequest, Unsupported
from protos.paddock.v1 import generation_pb2
from workers.engine import Prompt, Tokenizer

_THINKING = frozenset(
    {
        generation_pb2.THINK_ON,
        generation_pb2.THINK_LOW,
        generation_pb2.THINK_MEDIUM,
        generation_pb2.THINK_HIGH,
        generation_pb2.THINK_MAX,
    }
)


def render(tokenizer: Tokenizer, name: str, generation: generation_pb2.Generation) -> Prompt:
    """Give the prompt of a request to the model `name`.

    A chat goes through the tokenizer's own template. A completion is a chat of its system
    prompt, its history and the prompt, appended to the ids of its `context`; a raw one is
    taken as it is. Without a template the texts are joined with nothing between them, as
    Ollama's default template `{{ .Prompt }}` does, system prompts first.

    Raises:
        InvalidRequest: the template refuses the messages.
        CapabilityMissing: images for a model that does not see, a suffix for one that does
            not insert.
        Unsupported: a template of the request's own.
    """
    if generation.template:
        raise Unsupported("templates in the Go language are not supported")
    if generation.HasField("chat"):
        messages = list(generation.chat.messages)
        return Prompt(_render_chat(tokenizer, name, generation, messages))
    return Prompt(_render_completion(tokenizer, name, generation))


def _render_completion(
    tokenizer: Tokenizer, name: str, generation: generation_pb2.Generation
) -> list[int]:
    completion = generation.completion
    if completion.HasField("suffix") and completion.suffix:
        raise CapabilityMissing(f"{name} does not support insert")
    if completion.images:
        raise CapabilityMissing(f'"{name}" does not support images')
    if completion.raw:
        return _encode(tokenizer, completion.prompt)
    messages = list(completion.history)
    if completion.system and not completion.context:
        messages.insert(0, generation_pb2.Message(role="system", content=completion.system))
    messages.append(generation_pb2.Message(role="user", content=completion.prompt))
    return [*completion.context, *_render_chat(tokenizer, name, generation, messages)]


def _render_chat(
    tokenizer: Tokenizer,
    name: str,
    generation: generation_pb2.Generation,
    messages: list[generation_pb2.Message],
) -> list[int]:
    if any(message.images for message in messages):
        raise CapabilityMissing(f'"{name}" does not support images')
    if not tokenizer.chat_template:
        return _encode(tokenizer, _join(messages))
    try:
        text = tokenizer.apply_chat_template(
            [_plain(message) for message in messages],
            tools=[orjson.loads(tool) for tool in generation.chat.tools_json] or None,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=generation.think in _THINKING,
        )
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        raise InvalidRequest(f"the model's chat template failed: {error}") from error
    return tokenizer.encode(text, add_special_tokens=False)


def _join(messages: list[generation_pb2.Message]) -> str:
    system = [message for message in messages if message.role == "system"]
    others = [message for message in messages if message.role != "system"]
    return "".join(message.content for message in system + others)


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    begins = bool(tokenizer.bos_token) and text.startswith(tokenizer.bos_token)
    return tokenizer.encode(text, add_special_tokens=not begins)


def _plain(message: generation_pb2.Message) -> dict[str, Any]:
    """Give a message in the form that chat templates are written for (OpenAI's)."""
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.thinking:
        plain["reasoning_content"] = message.thinking
    if message.tool_name:
        plain["name"] = message.tool_name
    if message.tool_call_id:
        plain["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        plain["tool_calls"] = [
            {
                "type": "function",
                "id": call.id,
                "function": {
                    "name": call.name,
                    "arguments": orjson.loads(call.arguments_json or b"{}"),
                },
            }
            for call in message.tool_calls
        ]
    return plain
