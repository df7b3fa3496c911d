"""Embedding texts: cut to the window, pooled by the engine, shortened and normalised."""

import math
import time

from common.errors import InvalidRequest
from protos.paddock.v1 import generation_pb2, inference_pb2, worker_pb2
from workers.engine import Tokenizer
from workers.models import Models

TOO_LONG = "the input length exceeds the context length"


async def embed(
    models: Models, request: worker_pb2.EmbedSequencesRequest
) -> inference_pb2.EmbedResponse:
    """Embed all inputs of a request.

    Raises:
        InvalidRequest: an input is too long and must not be cut.
        CapabilityMissing: the model does not embed.
        PaddockError: it could not be loaded.
    """
    asked = request.request
    started = time.monotonic_ns()
    keep_alive = asked.keep_alive if asked.HasField("keep_alive") else None
    async with models.use(request.spec, keep_alive) as ready:
        loaded = time.monotonic_ns()
        window = ready.engine.limits.context_length
        prompts = await ready.render(lambda tokenizer: _tokenize_all(tokenizer, asked, window))
        vectors = await ready.engine.embed(prompts)
    usage = generation_pb2.Usage(
        prompt_tokens=sum(len(prompt) for prompt in prompts),
        total_duration=time.monotonic_ns() - started,
        load_duration=loaded - started,
    )
    embeddings = [
        inference_pb2.Embedding(values=shape(vector, asked.dimensions, asked.normalize))
        for vector in vectors
    ]
    return inference_pb2.EmbedResponse(embeddings=embeddings, usage=usage)


def tokenize(tokenizer: Tokenizer, text: str, truncate: bool, context_length: int) -> list[int]:
    """Give a text's token ids with the model's special tokens, cut to the window if allowed.

    Raises:
        InvalidRequest: the text is too long and must not be cut.
    """
    tokens = tokenizer.encode(text)
    if len(tokens) <= context_length:
        return tokens
    if not truncate:
        raise InvalidRequest(TOO_LONG)
    return tokenizer.encode(text, truncation=True, max_length=context_length)


def shape(vector: list[float], dimensions: int, normalize: bool) -> list[float]:
    """Cut a vector to its first `dimensions` (0: all) and scale it to length 1 if asked.

    Raises:
        InvalidRequest: it has values that are no numbers.
    """
    cut = vector[:dimensions] if 0 < dimensions < len(vector) else vector
    if not all(math.isfinite(value) for value in cut):
        raise InvalidRequest("embedding contains NaN or Inf values")
    length = math.hypot(*cut) if normalize else 1.0
    return [value / length for value in cut] if length else cut


def _tokenize_all(
    tokenizer: Tokenizer, asked: inference_pb2.EmbedRequest, window: int
) -> list[list[int]]:
    return [tokenize(tokenizer, text, asked.truncate, window) for text in asked.inputs]
