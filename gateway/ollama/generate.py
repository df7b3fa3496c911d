"""`POST /api/generate`: continue a prompt."""

from typing import Any, ClassVar

from aiohttp import web

from common.errors import InvalidRequest, ModelNotFound
from gateway.body import read_body
from gateway.ollama.generation import Encoder, GenerationBody, answer, load_or_unload
from protos.paddock.v1 import generation_pb2, inference_pb2


class GenerateBody(GenerationBody):
    """The request's body."""

    not_offered: ClassVar[frozenset[str]] = GenerationBody.not_offered | {
        "suffix",
        "context",
        "images",
    }

    prompt: str = ""
    system: str = ""
    raw: bool = False

    def to_proto(self) -> inference_pb2.GenerateRequest:
        """Convert for the wire.

        Raises:
            InvalidRequest: fields are malformed or contradict each other.
        """
        if self.raw and self.system:
            raise InvalidRequest("raw mode does not support template, system, or context")
        completion = generation_pb2.Completion(
            prompt=self.prompt, system=self.system or None, raw=self.raw
        )
        return inference_pb2.GenerateRequest(
            model=self.model.strip(),
            generation=generation_pb2.Generation(completion=completion, **self.settings()),
            keep_alive=self.keep_alive,
        )


async def generate(request: web.Request) -> web.StreamResponse:
    """Answer a prompt; without one, load or unload the model."""
    body = await read_body(request, GenerateBody)
    if not body.model.strip():
        raise ModelNotFound(f"model '{body.model}' not found")
    if not body.prompt:
        return await load_or_unload(request, body, Encoder(body.model, _response))
    encoder = Encoder(body.model, _response, with_context=not body.raw)
    return await answer(request, body.to_proto(), encoder, body.stream)


def _response(delta: generation_pb2.Delta) -> dict[str, Any]:
    shown = {"response": delta.content}
    return shown | {"thinking": delta.thinking} if delta.thinking else shown


ROUTES = [web.post("/api/generate", generate)]
