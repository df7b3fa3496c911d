"""`POST /api/generate`: continue a prompt."""

from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from common.errors import InvalidRequest, ModelNotFound
from gateway.body import read_body
from gateway.ollama.answers import Encoder
from gateway.ollama.generation import GenerationBody, serve
from gateway.ollama.images import Image
from protos.paddock.v1 import generation_pb2

TokenId = Annotated[int, Field(ge=0, lt=2**31)]


class GenerateBody(GenerationBody):
    """The request's body."""

    prompt: str = ""
    suffix: str = ""
    system: str = ""
    raw: bool = False
    context: list[TokenId] = Field(default_factory=list)
    images: list[Image] = Field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is no prompt."""
        return not self.prompt

    def input(self) -> dict[str, Any]:
        """Give the prompt and what belongs to it.

        Raises:
            InvalidRequest: a raw prompt comes with what only a template can place.
        """
        if self.raw and (self.template or self.system or self.context):
            raise InvalidRequest("raw mode does not support template, system, or context")
        completion = generation_pb2.Completion(
            prompt=self.prompt,
            system=self.system or None,
            raw=self.raw,
            suffix=self.suffix or None,
            images=self.images,
            context=self.context,
        )
        return {"completion": completion}


async def generate(request: web.Request) -> web.StreamResponse:
    """Answer a prompt; without one, load or unload the model."""
    body = await read_body(request, GenerateBody)
    if not body.model.strip():
        raise ModelNotFound(f"model '{body.model}' not found")
    return await serve(request, body, Encoder(body.model, _response, with_context=not body.raw))


def _response(content: str, thinking: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    response: dict[str, Any] = {"response": content}
    if thinking:
        response["thinking"] = thinking
    if calls:
        response["tool_calls"] = calls
    return response


ROUTES = [web.post("/api/generate", generate)]
