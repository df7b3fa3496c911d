"""Ollama's model options: their types, their defaults, and how they are merged."""

import logging
from collections.abc import Mapping
from typing import Any

from common.errors import InvalidRequest
from protos.paddock.v1 import generation_pb2

logger = logging.getLogger(__name__)

INTEGERS = frozenset(
    {"num_keep", "seed", "num_predict", "top_k", "repeat_last_n", "num_ctx", "mirostat"}
)
FLOATS = frozenset(
    {
        "top_p",
        "min_p",
        "typical_p",
        "temperature",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "mirostat_tau",
        "mirostat_eta",
    }
)
# Settings of llama.cpp's own machinery, which the engine decides for itself, and some that
# llama.cpp has not any more.
WITHOUT_EFFECT: dict[str, type[int] | type[float] | type[bool]] = {
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
    "logits_all": bool,
    "embedding_only": bool,
    "penalize_newline": bool,
    "tfs_z": float,
    "num_gqa": int,
    "rope_frequency_base": float,
    "rope_frequency_scale": float,
    "draft_num_predict": int,
}
_LARGEST_INTEGER = 2**31 - 1
_LARGEST_SEED = 2**63 - 1
_LARGEST_FLOAT = 3.4028234e38  # of 32 bits


def parse_options(options: Mapping[str, Any]) -> generation_pb2.Options:
    """Read a JSON object of options. Unknown names are logged and ignored, nulls skipped.

    A number with a fraction is cut off where an integer is meant, and an integer that is too
    large is the largest there is.

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
        mirostat=0,
        mirostat_tau=5.0,
        mirostat_eta=0.1,
    )


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f'option "{name}" must be of type integer')
    limit = _LARGEST_SEED if name == "seed" else _LARGEST_INTEGER
    return int(min(max(-limit - 1, value), limit))


def _float(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f'option "{name}" must be of type float32')
    if not -_LARGEST_FLOAT <= value <= _LARGEST_FLOAT:
        raise InvalidRequest(f'option "{name}" is out of range')
    return float(value)


def _strings(name: str, value: object) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        raise InvalidRequest(f'option "{name}" must be of type array')
    if not all(isinstance(item, str) for item in values):
        raise InvalidRequest(f'option "{name}" must be of an array of strings')
    return values


def _check_unused(name: str, value: object) -> None:
    expected = WITHOUT_EFFECT[name]
    if expected is bool and not isinstance(value, bool):
        raise InvalidRequest(f'option "{name}" must be of type boolean')
    if expected is int:
        _integer(name, value)
    if expected is float:
        _float(name, value)
