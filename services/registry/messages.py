"""The messages of a Modelfile, as a layer holds them: JSON in the form of Ollama's API."""

import base64
import binascii
from collections.abc import Iterable
from typing import Any

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from common.errors import InvalidModel, InvalidRequest
from protos.paddock.v1 import generation_pb2
from services.registry.documents import Document, first_problem, not_json

_ROLES = frozenset({"system", "user", "assistant"})


class _Function(Document):
    name: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)


class _ToolCall(Document):
    id: str = ""
    function: _Function = _Function()


class _Message(Document):
    role: str
    content: str = ""
    thinking: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[_ToolCall, ...] = ()


_MESSAGES = TypeAdapter(list[_Message])


def check_messages(messages: Iterable[generation_pb2.Message]) -> None:
    """Hold messages to have a role that a Modelfile can give them.

    Raises:
        InvalidRequest: a role is another; the message is Ollama's.
    """
    if any(message.role not in _ROLES for message in messages):
        raise InvalidRequest('message role must be one of "system", "user", or "assistant"')


def encode_messages(messages: Iterable[generation_pb2.Message]) -> bytes:
    """Write the layer; fields that are empty are left out, except the content.

    Raises:
        InvalidRequest: a tool call's arguments are no JSON.
    """
    return orjson.dumps([_to_json(message) for message in messages])


def decode_messages(content: str) -> list[generation_pb2.Message]:
    """Read the layer.

    Raises:
        InvalidModel: it does not hold messages.
    """
    try:
        return [_to_proto(message) for message in _MESSAGES.validate_json(content)]
    except ValidationError as error:
        raise InvalidModel(f"damaged messages: {first_problem(error)}") from error
    except binascii.Error as error:
        raise InvalidModel("damaged messages: an image is not valid base64") from error


def _to_json(message: generation_pb2.Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.thinking:
        fields["thinking"] = message.thinking
    if message.images:
        fields["images"] = [base64.b64encode(image).decode() for image in message.images]
    if message.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "function": {"name": call.name, "arguments": _arguments(call)},
            }
            for call in message.tool_calls
        ]
    return fields


def _arguments(call: generation_pb2.ToolCall) -> Any:
    try:
        return orjson.loads(call.arguments_json or "{}")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"arguments of tool call {call.name}: {not_json(error)}") from error


def _to_proto(message: _Message) -> generation_pb2.Message:
    return generation_pb2.Message(
        role=message.role,
        content=message.content,
        thinking=message.thinking,
        images=[base64.b64decode(image, validate=True) for image in message.images],
        tool_calls=[
            generation_pb2.ToolCall(
                id=call.id,
                name=call.function.name,
                arguments_json=orjson.dumps(call.function.arguments).decode(),
            )
            for call in message.tool_calls
        ],
    )
