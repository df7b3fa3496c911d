"""`POST /api/chat`: the next message of a conversation."""

from typing import Any

from aiohttp import web
from pydantic import Field

from common.errors import InvalidRequest
from gateway.body import read_body
from gateway.ollama.answers import Encoder
from gateway.ollama.generation import GenerationBody, serve
from gateway.ollama.messages import Message
from gateway.ollama.tools import Tool
from protos.paddock.v1 import generation_pb2


class ChatBody(GenerationBody):
    """The request's body."""

    messages: list[Message] = Field(default_factory=list)
    tools: list[Tool] = Field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there are no messages."""
        return not self.messages

    def input(self) -> dict[str, Any]:
        """Give the conversation and the tools.

        Raises:
            InvalidRequest: a tool or a tool call is nested too deeply.
        """
        chat = generation_pb2.Chat(
            messages=[message.to_proto() for message in self.messages],
            tools_json=[tool.to_json() for tool in self.tools],
        )
        return {"chat": chat}


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer a conversation; an empty one loads or unloads the model."""
    body = await read_body(request, ChatBody)
    if not body.model.strip():
        raise InvalidRequest("model is required")
    return await serve(request, body, Encoder(body.model, _message))


def _message(content: str, thinking: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if thinking:
        message["thinking"] = thinking
    if calls:
        message["tool_calls"] = calls
    return {"message": message}


ROUTES = [web.post("/api/chat", chat)]
