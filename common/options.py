"""Ollama's model options: their types, their defaults, and how they are merged."""

import logging
from collections.abc import Mapping
from typing import Any

from common.errors import InvalidRequest
from protos.paddock.v1 import generation_pb2

logger = logging.getLogger(__name__)

INTEGERS = frozenset({"num_keep", "seed", "num_predict", "top_k", "repeat_last_n", "num_ctx"})
FLOATS = frozenset(
    {
        "top_p",
        "min_p",
        "typical_p",
        "temperature",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
    }
)
# Settings of llama.cpp's own machinery. The engine decides these for itself.
WITHOUT_EFFECT = {
    "num_batch": int,
    "num_gpu": int,
    "main_gpu": int,
    "num_thread": int,
    "use_mmap": bool,
    "use_mlock": bool,
    "numa": bool,
    "low_vram": bool,
    "f16_kv": bool,
    "vocab_only": bool,
    "penalize_newline": bool,
    "draft_num_predict": int,
}
_INTEGER_RANGE = {"seed": 2**63 - 1}
_LARGEST_FLOAT = 3.4028234e38  # of 32 bits


def parse_options(options: Mapping[str, Any]) -> generation_pb2.Options:
    """Read a JSON object of options. Unknown names are logged and ignored, nulls skipped.

    Raises:
        InvalidRequest: a value has the wrong type; the message is Ollama's.
    """
    parsed = generation_pb2.Options()
    for name, value in options.items():
        if value is None:
            continue
        if name in INTEGERS:
            setattr(parsed, name, _integer(name, value))
        elif name in FLOATS:
            setattr(parsed, name, _float(name, value))
        elif name == "stop":
            parsed.stop.extend(_strings(name, value))
        elif name in WITHOUT_EFFECT:
            _check_unused(name, value)
        else:
            logger.warning("ignoring unknown option %r", name)
    return parsed


def merge_options(*layers: generation_pb2.Options) -> generation_pb2.Options:
    """Lay options over each other, the later over the earlier.

    A list of stop strings replaces the earlier list as a whole.
    """
    merged = generation_pb2.Options()
    for layer in layers:
        if layer.stop:
            del merged.stop[:]
        merged.MergeFrom(layer)
    return merged


def default_options() -> generation_pb2.Options:
    """Give Ollama's defaults; `num_ctx` stays unset: the engine's whole window."""
    return generation_pb2.Options(
        num_keep=4,
        seed=-1,
        num_predict=-1,
        top_k=40,
        top_p=0.9,
        min_p=0.0,
        typical_p=1.0,
        repeat_last_n=64,
        temperature=0.8,
        repeat_penalty=1.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
    )


def _integer(name: str, value: object) -> int:
    """Read an integer; a fraction is cut off, as Ollama does."""
    number = _float(name, value) if isinstance(value, float) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidRequest(f'option "{name}" must be of type integer')
    limit = _INTEGER_RANGE.get(name, 2**31 - 1)
    if not -limit - 1 <= number <= limit:
        raise InvalidRequest(f'option "{name}" is out of range')
    return int(number)


def _float(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f'option "{name}" must be of type float32')
    if not -_LARGEST_FLOAT <= value <= _LARGEST_FLOAT:
        raise InvalidRequest(f'option "{name}" is out of range')
    return float(value)


def _strings(name: str, value: object) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise InvalidRequest(f'option "{name}" must be of type array')
    return values


def _check_unused(name: str, value: object) -> None:
    expected = WITHOUT_EFFECT[name]
    if expected is bool and not isinstance(value, bool):
        raise InvalidRequest(f'option "{name}" must be of type boolean')
    if expected is int:
        _integer(name, value)
