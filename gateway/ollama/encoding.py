"""Pieces that several of Ollama's replies share."""

import time
from functools import lru_cache
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from protos.paddock.v1 import generation_pb2, model_pb2


def now() -> str:
    """Give the time in RFC 3339 with nanoseconds, UTC."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return _rfc3339(seconds, nanoseconds)


def timestamp(value: Timestamp) -> str:
    """Encode a point in time."""
    return _rfc3339(value.seconds, value.nanos)


def _rfc3339(seconds: int, nanoseconds: int) -> str:
    return f"{_whole_seconds(seconds)}.{nanoseconds:09d}Z"


@lru_cache(maxsize=8)  # every token has a time, and many share a second
def _whole_seconds(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """Drop what is zero or empty, as Go's `omitempty` does."""
    return {key: value for key, value in values.items() if value}


def details(value: model_pb2.ModelDetails) -> dict[str, Any]:
    """Encode the `details` object; all of its keys are there."""
    return {
        "parent_model": value.parent_model,
        "format": value.format,
        "family": value.family,
        "families": list(value.families),
        "parameter_size": value.parameter_size,
        "quantization_level": value.quantization_level,
    }


def metrics(usage: generation_pb2.Usage) -> dict[str, Any]:
    """Encode counts and durations (nanoseconds); zeros are left out."""
    return without_empty(
        {
            "total_duration": usage.total_duration,
            "load_duration": usage.load_duration,
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": usage.prompt_duration,
            "eval_count": usage.completion_tokens,
            "eval_duration": usage.completion_duration,
        }
    )
