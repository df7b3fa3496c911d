"""The metadata of GGUF files for tests: hyperparameters and tokenizer, from a model's folder."""

import json
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, PoolingType, RopeScalingType, TokenType
from sentencepiece import SentencePieceProcessor
from transformers import AutoTokenizer

_SPACE = "\u2581"
_SCALINGS = {"linear": RopeScalingType.LINEAR, "yarn": RopeScalingType.YARN}


def add_hyperparameters(writer: GGUFWriter, config: dict[str, Any]) -> None:
    """Add what llama.cpp's converter takes from `config.json`."""
    heads = config["num_attention_heads"]
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    if config["model_type"] in ("bert", "nomic_bert"):
        writer.add_layer_norm_eps(config["layer_norm_eps"])
        writer.add_causal_attention(False)
        writer.add_pooling_type(PoolingType.MEAN)
        if config["model_type"] == "nomic_bert":
            _add_rope(writer, config)
        return
    writer.add_vocab_size(config["vocab_size"])
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    else:
        writer.add_layer_norm_eps(config.get("norm_epsilon") or config["layer_norm_eps"])
    size = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_rope_dimension_count(size)
    if config.get("head_dim"):
        writer.add_key_length(size)
        writer.add_value_length(size)
    if config.get("sliding_window") and config.get("use_sliding_window", True):
        writer.add_sliding_window(config["sliding_window"])
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if config.get("attn_logit_softcapping"):
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    if experts := config.get("num_experts") or config.get("num_local_experts"):
        writer.add_expert_count(experts)
        writer.add_expert_used_count(config["num_experts_per_tok"])
    if config.get("moe_intermediate_size"):
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    if config["model_type"] == "granite":
        writer.add_embedding_scale(config["embedding_multiplier"])
        writer.add_attention_scale(config["attention_multiplier"])
        writer.add_residual_scale(config["residual_multiplier"])
        writer.add_logit_scale(config["logits_scaling"])
    if config["model_type"] == "cohere":
        writer.add_logit_scale(config["logit_scale"])
    _add_rope(writer, config)


def _add_rope(writer: GGUFWriter, config: dict[str, Any]) -> None:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(rope.get("rope_theta") or config.get("rope_theta", 10000.0))
    kind = _SCALINGS.get(rope.get("rope_type", "default"))
    if kind is not None:
        writer.add_rope_scaling_type(kind)
        writer.add_rope_scaling_factor(rope["factor"])
    if "long_factor" in rope or kind is not None:
        original = rope.get("original_max_position_embeddings")
        writer.add_rope_scaling_orig_ctx_len(original or config["max_position_embeddings"])


def add_tokenizer(writer: GGUFWriter, source: Path, config: dict[str, Any]) -> None:
    """Add the vocabulary in the form that its kind has in GGUF, and the chat template."""
    if (source / "tokenizer.model").exists():
        _add_sentencepiece(writer, source, config)
    else:
        model = json.loads((source / "tokenizer.json").read_bytes())["model"]
        if model["type"] == "WordPiece":
            _add_wordpiece(writer, source, config)
        else:
            _add_bpe(writer, source, config, model["merges"])
    template = source / "chat_template.jinja"
    if template.exists():
        writer.add_chat_template(template.read_text(encoding="utf-8"))


def _add_bpe(
    writer: GGUFWriter, source: Path, config: dict[str, Any], merges: list[list[str] | str]
) -> None:
    tokens, kinds = _vocabulary(source, config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([it if isinstance(it, str) else " ".join(it) for it in merges])


def _add_wordpiece(writer: GGUFWriter, source: Path, config: dict[str, Any]) -> None:
    tokens, kinds = _vocabulary(source, config["vocab_size"])
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")
    writer.add_token_type_count(config.get("type_vocab_size", 2))
    writer.add_token_list([_phantom_space(token) for token in tokens])
    writer.add_token_types(kinds)


def _phantom_space(token: str) -> str:
    """Mark where words begin, where BERT marks where they go on."""
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else _SPACE + token


def _add_sentencepiece(writer: GGUFWriter, source: Path, config: dict[str, Any]) -> None:
    model = SentencePieceProcessor(model_file=str(source / "tokenizer.model"))
    tokens, scores, kinds = [], [], []
    for token in range(model.vocab_size()):
        tokens.append(model.id_to_piece(token))
        scores.append(model.get_score(token))
        kinds.append(_sentencepiece_kind(model, token))
    added = json.loads((source / "tokenizer.json").read_bytes())["added_tokens"]
    for entry in sorted(added, key=lambda it: int(it["id"])):
        if entry["id"] >= len(tokens):
            tokens.append(entry["content"])
            scores.append(-1000.0)
            kinds.append(TokenType.CONTROL if entry["special"] else TokenType.USER_DEFINED)
    for token in range(len(tokens), config["vocab_size"]):
        tokens.append(f"[PAD{token}]")
        scores.append(-1000.0)
        kinds.append(TokenType.UNUSED)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_add_space_prefix(not config["model_type"].startswith("gemma"))


def _sentencepiece_kind(model: Any, token: int) -> TokenType:
    if model.is_unknown(token):
        return TokenType.UNKNOWN
    if model.is_control(token):
        return TokenType.CONTROL
    return TokenType.BYTE if model.is_byte(token) else TokenType.NORMAL


def _vocabulary(source: Path, size: int) -> tuple[list[str], list[TokenType]]:
    tokenizer = AutoTokenizer.from_pretrained(source)
    added = tokenizer.added_tokens_decoder
    names = {number: token for token, number in tokenizer.get_vocab().items()}
    kinds = []
    for number in range(size):
        if number not in names:
            kinds.append(TokenType.UNUSED)
        elif number in added:
            special = added[number].special
            kinds.append(TokenType.CONTROL if special else TokenType.USER_DEFINED)
        else:
            kinds.append(TokenType.NORMAL)
    return [names.get(number, f"[PAD{number}]") for number in range(size)], kinds


def add_special_tokens(writer: GGUFWriter, source: Path, config: dict[str, Any]) -> None:
    """Add the ids of special tokens, the tokenizer's before those of `config.json`."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    adders = {
        "bos": writer.add_bos_token_id,
        "eos": writer.add_eos_token_id,
        "unk": writer.add_unk_token_id,
        "pad": writer.add_pad_token_id,
        "sep": writer.add_sep_token_id,
        "mask": writer.add_mask_token_id,
    }
    for name, add in adders.items():
        number = getattr(tokenizer, f"{name}_token_id", None)
        if number is None:
            number = config.get(f"{name}_token_id")
        if isinstance(number, int):
            add(number)
    settings = json.loads((source / "tokenizer_config.json").read_bytes())
    for name, add_flag in (("bos", writer.add_add_bos_token), ("eos", writer.add_add_eos_token)):
        if isinstance(settings.get(f"add_{name}_token"), bool):
            add_flag(settings[f"add_{name}_token"])
