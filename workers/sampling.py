"""Ollama's options and formats as vLLM's sampling parameters.

What vLLM refuses and llama.cpp takes is translated where the meaning is clear (a `top_p` of 0
leaves one token: greedy) and refused with a text where it is not.
"""

import logging

from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

from common.errors import InvalidRequest
from protos.paddock.v1 import generation_pb2
from workers.window import answer_limit

logger = logging.getLogger(__name__)

_MAXIMUM_TEMPERATURE = 2.0
_MAXIMUM_PENALTY = 2.0

_reported: set[str] = set()


def sampling_params(
    generation: generation_pb2.Generation, prompt: int, context_length: int
) -> SamplingParams:
    """Translate a request whose prompt has `prompt` tokens, for an engine with that window.

    Raises:
        InvalidRequest: an option has no meaning, or the prompt leaves no room.
    """
    options = generation.options
    _report_unused(options)
    penalised = not options.HasField("repeat_last_n") or options.repeat_last_n != 0
    return SamplingParams(
        max_tokens=answer_limit(options, prompt, context_length),
        temperature=_temperature(options),
        top_p=options.top_p if 0 < options.top_p < 1 else 1.0,
        top_k=max(options.top_k, 0),
        min_p=min(max(options.min_p, 0.0), 1.0),
        seed=options.seed if options.HasField("seed") and options.seed != -1 else None,
        stop=[text for text in options.stop if text],
        repetition_penalty=_repetition(options) if penalised else 1.0,
        presence_penalty=_penalty(options, "presence_penalty") if penalised else 0.0,
        frequency_penalty=_penalty(options, "frequency_penalty") if penalised else 0.0,
        logprobs=generation.logprobs if generation.HasField("logprobs") else None,
        structured_outputs=_constraint(generation.format),
        output_kind=RequestOutputKind.DELTA,
        skip_clone=True,
    )


def _temperature(options: generation_pb2.Options) -> float:
    if options.HasField("top_p") and options.top_p <= 0:
        return 0.0
    if not options.HasField("temperature"):
        return 1.0
    if options.temperature > _MAXIMUM_TEMPERATURE:
        raise InvalidRequest(f'option "temperature" must be at most {_MAXIMUM_TEMPERATURE:g}')
    return max(options.temperature, 0.0)


def _repetition(options: generation_pb2.Options) -> float:
    if not options.HasField("repeat_penalty"):
        return 1.0
    if options.repeat_penalty <= 0:
        raise InvalidRequest('option "repeat_penalty" must be greater than 0')
    return options.repeat_penalty


def _penalty(options: generation_pb2.Options, name: str) -> float:
    value: float = getattr(options, name)
    if abs(value) > _MAXIMUM_PENALTY:
        limit = f"{_MAXIMUM_PENALTY:g}"
        raise InvalidRequest(f'option "{name}" must be between -{limit} and {limit}')
    return value


def _constraint(wanted: generation_pb2.Format) -> StructuredOutputsParams | None:
    match wanted.WhichOneof("constraint"):
        case "json":
            return StructuredOutputsParams(json_object=True) if wanted.json else None
        case "json_schema":
            return StructuredOutputsParams(json=wanted.json_schema)
    return None


def _report_unused(options: generation_pb2.Options) -> None:
    if options.HasField("typical_p") and options.typical_p != 1:
        _report_once("typical_p", "it is not supported and has no effect")
    if options.repeat_last_n not in (0, 64) and options.repeat_penalty not in (0, 1):
        _report_once("repeat_last_n", "penalties look at the whole context")


def _report_once(option: str, why: str) -> None:
    if option not in _reported:
        _reported.add(option)
        logger.warning("option %s: %s", option, why)
