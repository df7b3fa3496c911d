"""Rotary positions: what GGUF says about them, as `rope_parameters` of a `config.json`."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import InvalidModel
from workers.gguf.source import GgufSource, Metadata

FACTORS = "rope_freqs.weight"
LONG_FACTORS = "rope_factors_long.weight"
SHORT_FACTORS = "rope_factors_short.weight"

_DEFAULT_BASE = 10000.0
# Llama 3's scaling is stored as one divisor a frequency. What makes them is determined but
# for the unit of lengths, which this fixes as all published models have it.
_LLAMA3_LOW = 1.0
_TOLERANCE = 1e-3


def rope_parameters(source: GgufSource, head_size: int) -> dict[str, Any]:
    """Describe the rotation of a model with heads of this size.

    Raises:
        InvalidModel: it is of a kind that cannot be expressed.
    """
    metadata = source.metadata
    base = float(metadata.own("rope.freq_base") or _DEFAULT_BASE)
    parameters: dict[str, Any] = {"rope_theta": base}
    rotated = int(metadata.own("rope.dimension_count") or head_size)
    if rotated != head_size:
        parameters["partial_rotary_factor"] = rotated / head_size
    if LONG_FACTORS in source.tensors:
        return parameters | _long_rope(source)
    if FACTORS in source.tensors:
        return parameters | _llama3(_values(source, FACTORS), base)
    return parameters | _scaling(metadata)


def _scaling(metadata: Metadata) -> dict[str, Any]:
    kind = metadata.own("rope.scaling.type") or "none"
    factor = metadata.own("rope.scaling.factor") or metadata.own("rope.scale_linear") or 1.0
    if kind == "none" and factor != 1.0:
        kind = "linear"
    if kind == "none" or (kind == "linear" and factor == 1.0):
        return {"rope_type": "default"}
    if kind == "linear":
        return {"rope_type": "linear", "factor": float(factor)}
    if kind == "yarn":
        return _yarn(metadata, float(factor))
    raise InvalidModel(f"rotary scaling of the kind {kind!r} is not supported")


def _yarn(metadata: Metadata, factor: float) -> dict[str, Any]:
    parameters = {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": metadata.integer(
            "rope.scaling.original_context_length"
        ),
    }
    optional = {
        "attention_factor": "rope.scaling.attn_factor",
        "beta_fast": "rope.scaling.yarn_beta_fast",
        "beta_slow": "rope.scaling.yarn_beta_slow",
    }
    stated = {name: metadata.own(key) for name, key in optional.items()}
    return parameters | {name: value for name, value in stated.items() if value is not None}


def _long_rope(source: GgufSource) -> dict[str, Any]:
    return {
        "rope_type": "longrope",
        "long_factor": _values(source, LONG_FACTORS).tolist(),
        "short_factor": _values(source, SHORT_FACTORS).tolist(),
        "original_max_position_embeddings": source.metadata.integer(
            "rope.scaling.original_context_length"
        ),
    }


def _values(source: GgufSource, name: str) -> NDArray[np.float64]:
    if name not in source.tensors:
        raise InvalidModel(f"the GGUF file has no tensor {name}")
    return source.tensors[name].values(slice(None)).astype(np.float64).ravel()


def _llama3(divisors: NDArray[np.float64], base: float) -> dict[str, Any]:
    """Find the parameters of Llama 3's scaling from the divisors that it gives."""
    if np.allclose(divisors, 1.0):
        return {"rope_type": "default"}
    factor = float(divisors.max())
    turns = base ** -(np.arange(len(divisors)) / len(divisors)) / (2 * math.pi)
    share = (1 / divisors - 1 / factor) / (1 - 1 / factor)
    between = (share > _TOLERANCE) & (share < 1 - _TOLERANCE)
    if between.sum() < 2:
        low, high, original = _LLAMA3_LOW, 4.0, 8192  # as every published model has them
    else:
        # share = (original * turns - low) / (high - low)
        slope, shift = np.polyfit(turns[between], share[between], 1)
        low = _LLAMA3_LOW
        high = low - low / shift
        original = round(slope * (high - low))
    smooth = np.clip((original * turns - low) / (high - low), 0, 1)
    if not np.allclose((1 - smooth) / factor + smooth, 1 / divisors, rtol=_TOLERANCE):
        raise InvalidModel("the rotary frequencies are scaled in a way that is not supported")
    return {
        "rope_type": "llama3",
        "factor": round(factor, 4),
        "low_freq_factor": low,
        "high_freq_factor": round(float(high), 4),
        "original_max_position_embeddings": original,
    }
