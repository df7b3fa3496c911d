"""Tiny models with random weights, of the families that are converted."""

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GraniteConfig,
    LlamaConfig,
    MixtralConfig,
    NomicBertConfig,
    Olmo2Config,
    Phi3Config,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
    Starcoder2Config,
)

DEMO = Path(__file__).parents[3] / "examples" / "demo_model" / "model"
TOKENS = torch.tensor([[1, 5, 42, 7, 300, 299, 17, 4, 1000, 2999, 8, 8, 8, 3, 77, 12]])

_SHAPE: dict[str, Any] = {
    "vocab_size": 3072,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 3060,
    "eos_token_id": 3062,
    "pad_token_id": 3060,
}
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
_LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "long_factor": [1.0 + number / 4 for number in range(8)],
    "short_factor": [1.0 + number / 16 for number in range(8)],
    "original_max_position_embeddings": 128,
}
_YARN = {
    "rope_type": "yarn",
    "rope_theta": 1000000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
_GEMMA3_ROTATION = {
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
}
_GEMMA: dict[str, Any] = _SHAPE | {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 4}
_GRANITE: dict[str, Any] = {
    "embedding_multiplier": 12.0,
    "attention_multiplier": 0.1,
    "residual_multiplier": 0.22,
    "logits_scaling": 8.0,
}
_EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "tie_word_embeddings": False}

_WIDE = _SHAPE | {"hidden_size": 128}  # with heads that vLLM's CPU kernels take
_NOMIC = {key: value for key, value in _WIDE.items() if key != "num_key_value_heads"}

CONFIGS: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**_SHAPE, tie_word_embeddings=True),
    "llama with its own head size": LlamaConfig(**_SHAPE, head_dim=32),
    "llama 3": LlamaConfig(**_SHAPE | {"head_dim": 64}, rope_parameters=_LLAMA3),
    "llama, linear": LlamaConfig(
        **_SHAPE, rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
    ),
    "granite": GraniteConfig(**_SHAPE, **_GRANITE),
    "mixtral": MixtralConfig(**_SHAPE, **_EXPERTS, num_local_experts=4, sliding_window=None),
    "qwen2": Qwen2Config(**_SHAPE, rope_parameters=_YARN),
    "qwen3": Qwen3Config(**_SHAPE, head_dim=32, tie_word_embeddings=True),
    "qwen3moe": Qwen3MoeConfig(
        **_SHAPE,
        **_EXPERTS,
        num_experts=4,
        moe_intermediate_size=32,
        norm_topk_prob=True,
    ),
    "gemma": GemmaConfig(**_SHAPE, head_dim=32),
    "gemma2": Gemma2Config(**_GEMMA),
    "gemma3": Gemma3TextConfig(**_GEMMA, rope_parameters=_GEMMA3_ROTATION),
    "phi3": Phi3Config(
        **_SHAPE, rope_parameters=_LONG, original_max_position_embeddings=128, sliding_window=200
    ),
    "olmo2": Olmo2Config(**_WIDE),
    "command-r": CohereConfig(**_WIDE, logit_scale=0.125),
    "command-r+": CohereConfig(**_WIDE, use_qk_norm=True),
    "starcoder2": Starcoder2Config(**_WIDE),
    "bert": BertConfig(**_SHAPE),
    "nomic-bert": NomicBertConfig(**_NOMIC),
}


def write_model(config: PretrainedConfig, folder: Path) -> Path:
    """Save a model of this configuration, with the demo model's tokenizer."""
    torch.manual_seed(0)
    if config.model_type in ("bert", "nomic_bert"):
        model = AutoModel.from_config(config, add_pooling_layer=False)  # type: ignore[no-untyped-call]
    else:
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():  # or norms are all ones, and biases zeros
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(DEMO / name, folder / name)
    return folder


def logits(folder: Path) -> torch.Tensor:
    """Compute what the model in a folder makes of some tokens, in single precision."""
    config = AutoModel if (folder / "modules.json").exists() else AutoModelForCausalLM
    with torch.no_grad():
        if "bert" in (folder / "config.json").read_text():
            model = AutoModel.from_pretrained(
                folder, dtype=torch.float32, add_pooling_layer=False
            ).eval()
            return model(TOKENS).last_hidden_state  # type: ignore[no-any-return]
        model = config.from_pretrained(folder, dtype=torch.float32).eval()
        return model(TOKENS).logits  # type: ignore[no-any-return]
