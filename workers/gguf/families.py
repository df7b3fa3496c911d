"""The families of models: GGUF's architectures, and what each is called in `transformers`.

Names of tensors: gguf-py/gguf/constants.py in github.com/ggml-org/llama.cpp, and the model
classes of `transformers`. What is not in the table is refused: a model that computes
something else than it was trained for is worse than none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.errors import InvalidModel
from workers.gguf import settings
from workers.gguf.source import GgufSource

_DECODER = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_ATTENTION = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
}
_GATED = {
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_DENSE = _ATTENTION | _GATED | {"ffn_norm": "post_attention_layernorm"}
_GEMMA = (
    _ATTENTION
    | _GATED
    | {
        "post_attention_norm": "post_attention_layernorm",
        "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    }
)
_MIXTURE = _ATTENTION | {
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate_inp": "mlp.gate",
}
_MIXTRAL = _ATTENTION | {
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate_inp": "block_sparse_moe.gate",
}
_PHI3 = {
    "attn_norm": "input_layernorm",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_up": "mlp.gate_up_proj",
    "ffn_down": "mlp.down_proj",
}
_COMMAND_R = _ATTENTION | _GATED
_STARCODER2 = _ATTENTION | {
    "ffn_norm": "post_attention_layernorm",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
_OLMO2 = (
    _ATTENTION
    | _GATED
    | {
        "post_attention_norm": "post_attention_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    }
)
_BERT = {
    "token_embd": "embeddings.word_embeddings",
    "position_embd": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "token_embd_norm": "embeddings.LayerNorm",
}
_BERT_LAYER = {
    "attn_q": "attention.self.query",
    "attn_k": "attention.self.key",
    "attn_v": "attention.self.value",
    "attn_output": "attention.output.dense",
    "attn_output_norm": "attention.output.LayerNorm",
    "ffn_up": "intermediate.dense",
    "ffn_down": "output.dense",
    "layer_output_norm": "output.LayerNorm",
}
# Under the names that its makers gave it, which vLLM takes alone.
_NOMIC = {
    "token_embd": "embeddings.word_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "token_embd_norm": "emb_ln",
}
_NOMIC_LAYER = {
    "attn_qkv": "attn.Wqkv",
    "attn_output": "attn.out_proj",
    "attn_output_norm": "norm1",
    "ffn_up": "mlp.fc11",
    "ffn_gate": "mlp.fc12",
    "ffn_down": "mlp.fc2",
    "layer_output_norm": "norm2",
}


@dataclass(frozen=True)
class Family:
    """How models of one architecture are translated."""

    model_type: str
    """As `config.json` has it."""

    model_class: str
    """Of `transformers`, and of vLLM."""

    settings: Callable[[GgufSource], dict[str, Any]]
    """Makes the rest of `config.json`."""

    layer: Mapping[str, str]
    """Names within a layer, in GGUF and in safetensors."""

    model: Mapping[str, str] = field(default_factory=lambda: _DECODER)
    """Names outside of layers."""

    layers: str = "model.layers"

    experts: Mapping[str, str] = field(default_factory=dict)
    """Tensors that hold one matrix per expert, and the pattern of those matrices' names."""

    paired: bool = False
    """Rows of queries and keys lie as ggml's older rotation takes them: in pairs."""

    norm_shift: float = 0.0
    """What GGUF has added to the weights of norms."""

    pooling: bool = False
    """It embeds, and does not generate."""

    own_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Parts of names that the class of `transformers` changes when it reads a file; where it
    gives several, the rows are divided among them."""


_LLAMA = Family("llama", "LlamaForCausalLM", settings.llama, _DENSE, paired=True)
_MIXTRAL_FAMILY = Family(
    "mixtral",
    "MixtralForCausalLM",
    settings.mixtral,
    _MIXTRAL,
    experts={
        "ffn_gate_exps": "block_sparse_moe.experts.{}.w1",
        "ffn_down_exps": "block_sparse_moe.experts.{}.w2",
        "ffn_up_exps": "block_sparse_moe.experts.{}.w3",
    },
    paired=True,
)
_FAMILIES = {
    "llama": _LLAMA,
    "granite": Family("granite", "GraniteForCausalLM", settings.granite, _DENSE, paired=True),
    "qwen2": Family("qwen2", "Qwen2ForCausalLM", settings.decoder, _DENSE),
    "qwen3": Family("qwen3", "Qwen3ForCausalLM", settings.decoder, _DENSE),
    "qwen3moe": Family(
        "qwen3_moe",
        "Qwen3MoeForCausalLM",
        settings.qwen3_mixture,
        _MIXTURE,
        experts={
            "ffn_gate_exps": "mlp.experts.{}.gate_proj",
            "ffn_down_exps": "mlp.experts.{}.down_proj",
            "ffn_up_exps": "mlp.experts.{}.up_proj",
        },
    ),
    "gemma": Family("gemma", "GemmaForCausalLM", settings.decoder, _DENSE, norm_shift=1.0),
    "gemma2": Family("gemma2", "Gemma2ForCausalLM", settings.gemma2, _GEMMA, norm_shift=1.0),
    "gemma3": Family("gemma3_text", "Gemma3ForCausalLM", settings.gemma3, _GEMMA, norm_shift=1.0),
    "phi3": Family("phi3", "Phi3ForCausalLM", settings.phi3, _PHI3),
    "olmo2": Family("olmo2", "Olmo2ForCausalLM", settings.decoder, _OLMO2),
    "command-r": Family("cohere", "CohereForCausalLM", settings.command_r, _COMMAND_R),
    "starcoder2": Family("starcoder2", "Starcoder2ForCausalLM", settings.starcoder2, _STARCODER2),
    "bert": Family(
        "bert",
        "BertModel",
        settings.bert,
        _BERT_LAYER,
        model=_BERT,
        layers="encoder.layer",
        pooling=True,
    ),
    "nomic-bert": Family(
        "nomic_bert",
        "NomicBertModel",
        settings.nomic_bert,
        _NOMIC_LAYER,
        model=_NOMIC,
        layers="encoder.layers",
        pooling=True,
        own_names={
            "encoder.layers.": ("layers.",),
            "emb_ln": ("embeddings.LayerNorm",),
            "attn.Wqkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            "attn.out_proj": ("self_attn.o_proj",),
            "norm1": ("post_attention_layernorm",),
            "mlp.fc11": ("mlp.up_proj",),
            "mlp.fc12": ("mlp.gate_proj",),
            "mlp.fc2": ("mlp.down_proj",),
            "norm2": ("post_mlp_layernorm",),
        },
    ),
}


def family_of(source: GgufSource) -> Family:
    """Find the family of a model.

    Raises:
        InvalidModel: its architecture is not supported; the message names those that are.
    """
    name = source.metadata.architecture
    if name == "llama" and source.metadata.own("expert_count"):
        return _MIXTRAL_FAMILY
    if name not in _FAMILIES:
        supported = ", ".join(sorted(_FAMILIES))
        raise InvalidModel(
            f"GGUF models of the architecture {name!r} are not supported; supported: {supported}"
        )
    return _FAMILIES[name]
