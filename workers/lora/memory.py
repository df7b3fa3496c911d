"""How much memory the places for adapters take in an engine: from the configuration alone."""

from collections.abc import Mapping
from typing import Any

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


def adapter_bytes(config: Mapping[str, Any], rank: int, element: int) -> int:
    """Give the bytes that one adapter takes if it adapts every layer.

    vLLM makes the places as large as that, whatever the adapters have.

    Args:
        config: the part of a `config.json` that is about text.
        rank: that the engine is started with.
        element: bytes of one number.
    """
    hidden = _number(config, "hidden_size", "n_embd", "d_model")
    layers = _number(config, "num_hidden_layers", "n_layer", "num_layers")
    heads = _number(config, "num_attention_heads", "n_head", "num_heads")
    head = _number(config, "head_dim") or hidden // max(heads, 1)
    key_heads = _number(config, "num_key_value_heads") or heads
    attention = 2 * (hidden + heads * head) + 2 * (hidden + key_heads * head)
    vocabulary = 2 * (hidden + _number(config, "vocab_size"))
    return (layers * (attention + _feed_forward(config, hidden)) + vocabulary) * rank * element


def _feed_forward(config: Mapping[str, Any], hidden: int) -> int:
    inner = _number(config, "intermediate_size", "n_inner", "ffn_dim") or 4 * hidden
    experts = _number(config, *_EXPERTS)
    if experts:
        inner = _number(config, "moe_intermediate_size") or inner
    return 3 * (hidden + inner) * max(experts, 1)


def _number(config: Mapping[str, Any], *names: str) -> int:
    return next((int(config[name]) for name in names if isinstance(config.get(name), int)), 0)
