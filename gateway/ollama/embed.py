"""`POST /api/embed`, and `POST /api/embeddings`, its older form: vectors for texts."""

from typing import Any

from aiohttp import web
from pydantic import Field

from common.errors import InvalidRequest, ModelNotFound
from common.options import parse_options
from gateway.body import Body, KeepAlive, read_body
from gateway.clients import client_of
from gateway.ollama.encoding import metrics
from gateway.ollama.not_found import not_found_as, require_model
from gateway.persistence import persist
from gateway.replies import json_reply
from gateway.services import SERVICES
from protos.paddock.v1 import inference_pb2

_MOST_DIMENSIONS = 2**32 - 1


class _EmbeddingBody(Body):
    model: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    keep_alive: KeepAlive = None


class EmbedBody(_EmbeddingBody):
    """The body of `/api/embed`."""

    input: Any = None
    truncate: bool = True
    dimensions: int = 0

    def inputs(self) -> list[str]:
        """Give the texts; none where the request only loads the model.

        Raises:
            InvalidRequest: the input is neither a string nor a list of strings.
        """
        if self.input is None or self.input == "":
            return []
        texts = [self.input] if isinstance(self.input, str) else self.input
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InvalidRequest("invalid input type")
        return texts

    def to_proto(self) -> inference_pb2.EmbedRequest:
        """Convert for the wire. Dimensions that are no positive number have no effect."""
        wanted = 0 < self.dimensions <= _MOST_DIMENSIONS
        return inference_pb2.EmbedRequest(
            model=self.model.strip(),
            inputs=self.inputs(),
            truncate=self.truncate,
            dimensions=self.dimensions if wanted else None,
            normalize=True,
            options=parse_options(self.options),
            keep_alive=self.keep_alive,
        )


class EmbeddingBody(_EmbeddingBody):
    """The body of `/api/embeddings`."""

    prompt: str = ""

    def to_proto(self) -> inference_pb2.EmbedRequest:
        """Convert for the wire: the vector as the model gives it, a text too long is refused."""
        return inference_pb2.EmbedRequest(
            model=self.model.strip(),
            inputs=[self.prompt] if self.prompt else [],
            options=parse_options(self.options),
            keep_alive=self.keep_alive,
        )


async def embed(request: web.Request) -> web.Response:
    """Give a vector of length 1 for each text."""
    body = await read_body(request, EmbedBody)
    body.inputs()  # their type is looked at before all else
    if not body.model.strip():
        raise ModelNotFound(f"model '{body.model}' not found")
    response = await _embed(request, body)
    vectors = [list(embedding.values) for embedding in response.embeddings]
    usage = metrics(response.usage)
    return json_reply({"model": body.model, "embeddings": vectors, **usage})


async def embeddings(request: web.Request) -> web.Response:
    """Give the vector of one text, not normalised."""
    body = await read_body(request, EmbeddingBody)
    if not body.model.strip():
        raise InvalidRequest("model is required")
    response = await _embed(request, body)
    vectors = [list(embedding.values) for embedding in response.embeddings]
    return json_reply({"embedding": vectors[0] if vectors else []})


async def _embed(
    request: web.Request, body: EmbedBody | EmbeddingBody
) -> inference_pb2.EmbedResponse:
    """Ask for the vectors; without texts, only load the model."""
    with not_found_as(f'model "{body.model}" not found, try pulling it first'):
        try:
            wanted = body.to_proto()
        except InvalidRequest:
            await require_model(request, body.model)
            raise
        return await _call(request, wanted)


async def _call(
    request: web.Request, wanted: inference_pb2.EmbedRequest
) -> inference_pb2.EmbedResponse:
    inference = request.app[SERVICES].inference
    if wanted.inputs:
        wanted.client = client_of(request)
        return await persist(request, inference.Embed, wanted)
    keep_alive = wanted.keep_alive if wanted.HasField("keep_alive") else None
    load = inference_pb2.LoadRequest(model=wanted.model, keep_alive=keep_alive)
    await persist(request, inference.Load, load)
    return inference_pb2.EmbedResponse()


ROUTES = [web.post("/api/embed", embed), web.post("/api/embeddings", embeddings)]
