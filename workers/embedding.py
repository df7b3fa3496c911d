"""Embedding texts: cut to the window, pooled by the engine, shortened and normalised."""

import math
import time
from collections.abc import Sequence

from common.errors import InvalidRequest
from protos.paddock.v1 import generation_pb2, inference_pb2, worker_pb2
from workers.engine import Tokenizer
from workers.models import Models
from workers.slot import ReadyEngine
from workers.window import LONGEST_TOKEN, window

TOO_LONG = "the input length exceeds the context length"

# Inputs that are tokenized, and then pooled, at once. A request may have thousands.
_BATCH = 64

# Of a text that is far too long only a part is tokenized; where it has fewer tokens than its
# characters suggest, a longer one.
_CHARACTERS_PER_TOKEN = 8
# The last tokens of a part may differ from those that the whole text has there.
_SEAM = 8


async def embed(
    models: Models, request: worker_pb2.EmbedSequencesRequest
) -> inference_pb2.EmbedResponse:
    """Embed all inputs of a request, some at a time.

    Raises:
        InvalidRequest: an input is too long and must not be cut.
        CapabilityMissing: the model does not embed.
        PaddockError: it could not be loaded.
    """
    asked = request.request
    started = time.monotonic_ns()
    keep_alive = asked.keep_alive if asked.HasField("keep_alive") else None
    response = inference_pb2.EmbedResponse()
    tokens = 0
    async with models.use(request.spec, keep_alive) as ready:
        loaded = time.monotonic_ns()
        for first in range(0, len(asked.inputs), _BATCH):
            prompts = await _tokenize(ready, asked, asked.inputs[first : first + _BATCH])
            for vector in await ready.engine.embed(prompts):
                values = shape(vector, asked.dimensions, asked.normalize)
                response.embeddings.add(values=values)
            tokens += sum(map(len, prompts))
    usage = generation_pb2.Usage(
        prompt_tokens=tokens,
        total_duration=time.monotonic_ns() - started,
        load_duration=loaded - started,
    )
    response.usage.CopyFrom(usage)
    return response


def tokenize(tokenizer: Tokenizer, text: str, truncate: bool, context_length: int) -> list[int]:
    """Give a text's token ids with the model's special tokens, cut to the window if allowed.

    Raises:
        InvalidRequest: the text is too long and must not be cut.
    """
    most = min(len(text), context_length * LONGEST_TOKEN)
    size = min(most, context_length * _CHARACTERS_PER_TOKEN)
    tokens = tokenizer.encode(text[:size])
    while size < most and len(tokens) < context_length + _SEAM:
        size = min(most, 4 * size)
        tokens = tokenizer.encode(text[:size])
    if size == len(text) and len(tokens) <= context_length:
        return tokens
    if not truncate:
        raise InvalidRequest(TOO_LONG)
    return tokenizer.encode(text[:size], truncation=True, max_length=context_length)


def shape(vector: list[float], dimensions: int, normalize: bool) -> list[float]:
    """Cut a vector to its first `dimensions` (0: all) and scale it to length 1 if asked.

    Raises:
        InvalidRequest: it has values that are no numbers.
    """
    cut = vector[:dimensions] if 0 < dimensions < len(vector) else vector
    if not all(map(math.isfinite, cut)):
        raise InvalidRequest("embedding contains NaN or Inf values")
    length = math.hypot(*cut) if normalize else 1.0
    return [value / length for value in cut] if length else cut


async def _tokenize(
    ready: ReadyEngine, asked: inference_pb2.EmbedRequest, inputs: Sequence[str]
) -> list[list[int]]:
    size = window(asked.options, ready.engine.limits.context_length)
    return await ready.render(
        lambda tokenizer: [tokenize(tokenizer, text, asked.truncate, size) for text in inputs]
    )
