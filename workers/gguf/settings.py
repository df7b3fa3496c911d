"""A model's `config.json` from the metadata of its GGUF file, family by family.

What a class of `transformers` has for a default is written out where another value would
make another model; the meaning of the keys is llama.cpp's (src/llama-model.cpp).
"""

from typing import Any

from common.errors import InvalidModel
from workers.gguf.rotation import rope_parameters
from workers.gguf.source import GgufSource, Metadata

_EMBEDDINGS = "token_embd.weight"
_OUTPUT = "output.weight"

# By their number of layers llama.cpp knows the models whose attention is scaled otherwise.
_GEMMA2_27B_LAYERS = 46
_GEMMA3_27B_LAYERS = 62
_GEMMA3_LOCAL_BASE = 10000.0

_WINDOW = "attention.sliding_window"
# Keys that change what a model computes. One that no family asked for makes a model that we
# would serve wrongly.
_MEANINGFUL = (
    "attention.clamp_kqv",
    "attention.max_alibi_bias",
    "attention.scale",
    "attention.temperature_scale",
    "attn_logit_softcapping",
    "embedding_scale",
    "expert_count",
    "expert_shared_count",
    "final_logit_softcapping",
    "leading_dense_block_count",
    "logit_scale",
    "residual_scale",
    "use_parallel_residual",
)


def decoder(source: GgufSource) -> dict[str, Any]:
    """Describe a decoder as most are built: Qwen 2 and 3 are, and others are but for details."""
    epsilon = source.metadata.real("attention.layer_norm_rms_epsilon")
    return _shape(source) | {"rms_norm_eps": epsilon}


def _shape(source: GgufSource) -> dict[str, Any]:
    """Describe a decoder but for its norms."""
    metadata = source.metadata
    heads = metadata.integer("attention.head_count")
    hidden = metadata.integer("embedding_length")
    size = int(metadata.own("attention.key_length") or hidden // heads)
    if int(metadata.own("attention.value_length") or size) != size:
        raise InvalidModel("keys and values of different lengths are not supported")
    own_heads = metadata.own("attention.head_count_kv") is not None
    return {
        "vocab_size": _rows(source, _EMBEDDINGS),
        "hidden_size": hidden,
        "intermediate_size": metadata.integer("feed_forward_length"),
        "num_hidden_layers": _layers(source),
        "num_attention_heads": heads,
        "num_key_value_heads": metadata.integer("attention.head_count_kv") if own_heads else heads,
        "head_dim": size,
        "max_position_embeddings": metadata.integer("context_length"),
        "rope_parameters": rope_parameters(source, size),
        "attention_bias": "blk.0.attn_q.bias" in source.tensors,
        "tie_word_embeddings": _OUTPUT not in source.tensors,
    }


def llama(source: GgufSource) -> dict[str, Any]:
    """Describe a Llama, or a Mistral, which GGUF calls the same."""
    return decoder(source) | {"mlp_bias": "blk.0.ffn_up.bias" in source.tensors}


def mixtral(source: GgufSource) -> dict[str, Any]:
    """Describe a Mixtral, which GGUF calls a Llama with experts."""
    return decoder(source) | {
        "num_local_experts": source.metadata.integer("expert_count"),
        "num_experts_per_tok": source.metadata.integer("expert_used_count"),
        "sliding_window": None,
    }


def granite(source: GgufSource) -> dict[str, Any]:
    """Describe a Granite: a Llama with four factors."""
    metadata = source.metadata
    factors = {
        "embedding_multiplier": "embedding_scale",
        "attention_multiplier": "attention.scale",
        "residual_multiplier": "residual_scale",
        "logits_scaling": "logit_scale",
    }
    return llama(source) | {name: metadata.real(key) for name, key in factors.items()}


def qwen3_mixture(source: GgufSource) -> dict[str, Any]:
    """Describe a Qwen 3 with experts; llama.cpp always normalises the chosen ones' shares."""
    metadata = source.metadata
    return decoder(source) | {
        "num_experts": metadata.integer("expert_count"),
        "num_experts_per_tok": metadata.integer("expert_used_count"),
        "moe_intermediate_size": metadata.integer("expert_feed_forward_length"),
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
    }


def gemma2(source: GgufSource) -> dict[str, Any]:
    """Describe a Gemma 2."""
    metadata = source.metadata
    config = decoder(source)
    config["query_pre_attn_scalar"] = _attention_scale(config, _GEMMA2_27B_LAYERS)
    config["sliding_window"] = metadata.integer(_WINDOW)
    config["attn_logit_softcapping"] = metadata.own("attn_logit_softcapping") or 50.0
    config["final_logit_softcapping"] = metadata.own("final_logit_softcapping") or 30.0
    return config


def gemma3(source: GgufSource) -> dict[str, Any]:
    """Describe the text part of a Gemma 3: local layers rotate by another base, unscaled."""
    metadata = source.metadata
    config = decoder(source)
    config["query_pre_attn_scalar"] = _attention_scale(config, _GEMMA3_27B_LAYERS)
    config["sliding_window"] = metadata.integer(_WINDOW)
    config["attn_logit_softcapping"] = metadata.own("attn_logit_softcapping")
    config["final_logit_softcapping"] = metadata.own("final_logit_softcapping")
    whole = config.pop("rope_parameters")
    # Ollama's own files have keys of their own for the two bases.
    whole["rope_theta"] = metadata.own("rope.global.freq_base") or whole["rope_theta"]
    local = metadata.own("rope.local.freq_base") or metadata.own("rope.freq_base_swa")
    config["rope_parameters"] = {
        "full_attention": whole,
        "sliding_attention": {
            "rope_type": "default",
            "rope_theta": float(local or _GEMMA3_LOCAL_BASE),
        },
    }
    return config


def phi3(source: GgufSource) -> dict[str, Any]:
    """Describe a Phi 3 or 4."""
    config = decoder(source)
    del config["attention_bias"], config["head_dim"]
    rotation = config["rope_parameters"]
    config["sliding_window"] = source.metadata.own(_WINDOW) or None
    original = rotation.get("original_max_position_embeddings")
    config["original_max_position_embeddings"] = original or config["max_position_embeddings"]
    return config


def command_r(source: GgufSource) -> dict[str, Any]:
    """Describe a Command R, or an Aya; both sides of a layer read the same norm."""
    metadata = source.metadata
    return _shape(source) | {
        "layer_norm_eps": metadata.real("attention.layer_norm_epsilon"),
        "logit_scale": metadata.real("logit_scale"),
        "use_qk_norm": "blk.0.attn_q_norm.weight" in source.tensors,
    }


def starcoder2(source: GgufSource) -> dict[str, Any]:
    """Describe a StarCoder 2; llama.cpp gives it no sliding window."""
    return _shape(source) | {
        "norm_epsilon": source.metadata.real("attention.layer_norm_epsilon"),
        "use_bias": "blk.0.attn_q.bias" in source.tensors,
        "sliding_window": None,
    }


def bert(source: GgufSource) -> dict[str, Any]:
    """Describe a BERT."""
    metadata = source.metadata
    if metadata.own("attention.causal"):
        raise InvalidModel("a BERT with causal attention is not supported")
    return {
        "vocab_size": _rows(source, _EMBEDDINGS),
        "type_vocab_size": _rows(source, "token_types.weight"),
        "hidden_size": metadata.integer("embedding_length"),
        "intermediate_size": metadata.integer("feed_forward_length"),
        "num_hidden_layers": _layers(source),
        "num_attention_heads": metadata.integer("attention.head_count"),
        "max_position_embeddings": _rows(source, "position_embd.weight"),
        "layer_norm_eps": metadata.real("attention.layer_norm_epsilon"),
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
    }


def nomic_bert(source: GgufSource) -> dict[str, Any]:
    """Describe a BERT of Nomic's: one with rotary positions and gates.

    vLLM reads its settings under the names that its makers gave them.
    """
    metadata = source.metadata
    if metadata.own("attention.causal"):
        raise InvalidModel("a BERT with causal attention is not supported")
    hidden, heads = metadata.integer("embedding_length"), metadata.integer("attention.head_count")
    config = {
        "vocab_size": _rows(source, _EMBEDDINGS),
        "type_vocab_size": _rows(source, "token_types.weight"),
        "hidden_size": hidden,
        "intermediate_size": metadata.integer("feed_forward_length"),
        "num_hidden_layers": _layers(source),
        "num_attention_heads": heads,
        "max_position_embeddings": metadata.integer("context_length"),
        "layer_norm_eps": metadata.real("attention.layer_norm_epsilon"),
        "rope_parameters": rope_parameters(source, hidden // heads),
    }
    return config | {
        "n_embd": hidden,
        "n_head": heads,
        "n_inner": config["intermediate_size"],
        "n_layer": config["num_hidden_layers"],
        "layer_norm_epsilon": config["layer_norm_eps"],
        "activation_function": "swiglu",
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
        **dict.fromkeys(("mlp_fc1_bias", "mlp_fc2_bias", "qkv_proj_bias"), False),
    }


def refuse_unknown(metadata: Metadata) -> None:
    """Refuse a model with a setting that has not been asked for and that matters.

    Raises:
        InvalidModel: it has one.
    """
    ignored = {
        key: metadata.own(key) for key in (*_MEANINGFUL, _WINDOW) if key not in metadata.asked
    }
    if ignored.get(_WINDOW) and ignored[_WINDOW] >= metadata.integer("context_length"):
        del ignored[_WINDOW]  # it never moves
    for key, value in ignored.items():
        if value:
            name = metadata.architecture
            raise InvalidModel(f"GGUF models with {name}.{key} = {value} are not supported")


def _layers(source: GgufSource) -> int:
    count = source.metadata.integer("block_count")
    if count > len(source.tensors):
        raise InvalidModel(f"the GGUF file has no tensors for its {count} layers")
    return count


def _rows(source: GgufSource, name: str) -> int:
    if name not in source.tensors:
        raise InvalidModel(f"the GGUF file has no tensor {name}")
    return source.tensors[name].shape[0]


def _attention_scale(config: dict[str, Any], largest: int) -> int:
    """Give the number whose root divides attention: the head's size, but for the largest model."""
    if config["num_hidden_layers"] == largest:
        return int(config["hidden_size"] // config["num_attention_heads"])
    return int(config["head_dim"])
