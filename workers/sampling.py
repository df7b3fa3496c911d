"""Ollama's options and formats as vLLM's sampling parameters.

On a GPU vLLM samples what it can sample in Ollama's way or nearly so. Everything else is
sampled by our own sampler: vLLM is asked for the likeliest token, after that sampler had its
say. See `workers.logits`.
"""

from typing import Any

import orjson
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

from protos.paddock.v1 import generation_pb2
from workers.logits.settings import Settings, read_settings
from workers.window import answer_limit

_LARGEST_TEMPERATURE = 2.0  # that vLLM takes


def sampling_params(
    generation: generation_pb2.Generation, prompt: int, context_length: int, *, accelerator: bool
) -> SamplingParams:
    """Translate a request whose prompt has `prompt` tokens, for an engine with that window.

    Raises:
        InvalidRequest: the prompt leaves no room.
    """
    options = generation.options
    settings = read_settings(options)
    return SamplingParams(
        max_tokens=answer_limit(options, prompt, context_length),
        stop=[text for text in options.stop if text],
        logprobs=generation.logprobs if generation.HasField("logprobs") else None,
        structured_outputs=_constraint(generation.format),
        output_kind=RequestOutputKind.DELTA,
        skip_clone=True,
        **(_own(settings) if accelerator and vllm_samples(settings) else _ours(settings)),
    )


def vllm_samples(settings: Settings) -> bool:
    """Tell whether vLLM's own sampler is close enough to llama.cpp's.

    It applies `top_p` and `min_p` after the temperature, llama.cpp before it. A temperature
    below 1 so leaves out a few of the less likely tokens more; above 1 it would let in many
    that llama.cpp never considers.
    """
    if settings.penalised or settings.typical_p < 1 or settings.mirostat:
        return False
    truncated = settings.top_p < 1 or settings.min_p > 0
    return settings.temperature <= (1 if truncated else _LARGEST_TEMPERATURE)


def _own(settings: Settings) -> dict[str, Any]:
    return {
        "temperature": settings.temperature,
        "top_k": settings.top_k,
        "top_p": settings.top_p,
        "min_p": settings.min_p,
        "seed": settings.seed,
    }


def _ours(settings: Settings) -> dict[str, Any]:
    plain = settings.likeliest and not settings.penalised
    return {"temperature": 0.0, "extra_args": None if plain else settings.extra_arguments()}


def _constraint(wanted: generation_pb2.Format) -> StructuredOutputsParams | None:
    match wanted.WhichOneof("constraint"):
        case "json":
            return StructuredOutputsParams(json_object=True) if wanted.json else None
        case "json_schema":
            return StructuredOutputsParams(json=_lenient(wanted.json_schema))
    return None


def _lenient(schema: str) -> str:
    """Tell the engine to leave out of a schema what it cannot enforce, as Ollama does.

    Clients send whole schemas of data classes: `uniqueItems`, `format: "path"` and their like
    would be refused otherwise. See "x-guidance" in the documentation of llguidance.
    """
    document = orjson.loads(schema)
    return orjson.dumps({**document, "x-guidance": {"lenient": True}}).decode()
