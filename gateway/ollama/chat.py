"""`POST /api/chat`: the next message of a conversation."""

from typing import Any, ClassVar

from aiohttp import web
from pydantic import Field

from common.errors import InvalidRequest
from gateway.body import read_body
from gateway.ollama.generation import Encoder, GenerationBody, answer, load_or_unload
from gateway.ollama.messages import Message, message_object
from protos.paddock.v1 import generation_pb2, inference_pb2


class ChatBody(GenerationBody):
    """The request's body."""

    not_offered: ClassVar[frozenset[str]] = GenerationBody.not_offered | {"tools"}

    messages: list[Message] = Field(default_factory=list)

    def to_proto(self) -> inference_pb2.GenerateRequest:
        """Convert for the wire.

        Raises:
            InvalidRequest: fields are malformed.
        """
        chat = generation_pb2.Chat(messages=[message.to_proto() for message in self.messages])
        return inference_pb2.GenerateRequest(
            model=self.model.strip(),
            generation=generation_pb2.Generation(chat=chat, **self.settings()),
            keep_alive=self.keep_alive,
        )


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer a conversation; an empty one loads or unloads the model."""
    body = await read_body(request, ChatBody)
    if not body.model.strip():
        raise InvalidRequest("model is required")
    encoder = Encoder(body.model, _message)
    if not body.messages:
        return await load_or_unload(request, body, encoder)
    return await answer(request, body.to_proto(), encoder, body.stream)


def _message(delta: generation_pb2.Delta) -> dict[str, Any]:
    message = generation_pb2.Message(
        role="assistant", content=delta.content, thinking=delta.thinking
    )
    return {"message": message_object(message)}


ROUTES = [web.post("/api/chat", chat)]
