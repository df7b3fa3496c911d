"""What a model's `config.json` says, under the many names that its fields have had."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import InvalidModel

_CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
)
_EMBEDDING = ("hidden_size", "n_embd", "d_model", "dim")
_BLOCKS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_KEY_VALUE_HEADS = ("num_key_value_heads", "num_kv_heads", "multi_query_group_num")
_FEED_FORWARD = ("intermediate_size", "n_inner", "ffn_dim", "d_ff", "ffn_hidden_size")
_RMS_EPSILON = ("rms_norm_eps",)
_LAYER_EPSILON = ("layer_norm_eps", "layer_norm_epsilon", "layernorm_epsilon", "norm_epsilon")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
_EXPERTS_USED = ("num_experts_per_tok", "num_experts_per_token")

_TOO_LARGE = 2**63

# Where multi-modal models keep the numbers of their language model.
_NESTED = ("text_config", "llm_config", "language_config", "thinker_config")


@dataclass(frozen=True)
class HuggingFaceConfig:
    """A `config.json`, as a whole and as its language model's part."""

    document: Mapping[str, Any]
    text: Mapping[str, Any]

    @property
    def architectures(self) -> tuple[str, ...]:
        """Names of the classes that implement the model."""
        return tuple(self.document["architectures"])

    @property
    def family(self) -> str:
        """The kind of model, such as "llama"."""
        return str(self.document["model_type"])

    @property
    def context_length(self) -> int:
        """Positions that the model was made for; 0 when it does not say."""
        return _integer(self.text, _CONTEXT) or 0

    @property
    def embedding_length(self) -> int:
        """Width of the model; 0 when it does not say."""
        return _integer(self.text, _EMBEDDING) or 0

    @property
    def vocabulary_size(self) -> int:
        """Tokens that it knows; 0 when it does not say."""
        return _integer(self.text, ("vocab_size",)) or 0

    @property
    def quantization(self) -> Mapping[str, Any]:
        """How the weights are quantised; empty when they are not."""
        found = self.document.get("quantization_config") or self.text.get("quantization_config")
        return found if isinstance(found, dict) else {}

    def model_info(self) -> dict[str, Any]:
        """Describe the model under the names that GGUF files use, as Ollama's API does."""
        fields = {
            "context_length": self.context_length or None,
            "embedding_length": self.embedding_length or None,
            "block_count": _integer(self.text, _BLOCKS),
            "feed_forward_length": _integer(self.text, _FEED_FORWARD),
            "vocab_size": self.vocabulary_size or None,
            "expert_count": _integer(self.text, _EXPERTS),
            "expert_used_count": _integer(self.text, _EXPERTS_USED),
            **self._attention(),
            "rope.freq_base": self._rope_base(),
            "rope.dimension_count": self._head_length() if self._rope_base() else None,
        }
        info = {f"{self.family}.{name}": value for name, value in fields.items()}
        info |= {
            f"tokenizer.ggml.{name}_token_id": self._token_id(key)
            for name, key in (("bos", "bos"), ("eos", "eos"), ("padding", "pad"))
        }
        return {name: value for name, value in info.items() if value is not None}

    def _attention(self) -> dict[str, int | float | None]:
        heads = _integer(self.text, _HEADS)
        return {
            "attention.head_count": heads,
            "attention.head_count_kv": _integer(self.text, _KEY_VALUE_HEADS) or heads,
            "attention.key_length": _integer(self.text, ("head_dim",)),
            "attention.value_length": _integer(self.text, ("head_dim",)),
            "attention.sliding_window": _integer(self.text, ("sliding_window",)),
            "attention.layer_norm_rms_epsilon": _number(self.text, _RMS_EPSILON),
            "attention.layer_norm_epsilon": _number(self.text, _LAYER_EPSILON),
        }

    def _head_length(self) -> int | None:
        heads = _integer(self.text, _HEADS)
        stated = _integer(self.text, ("head_dim",))
        return stated or (self.embedding_length // heads if heads else None)

    def _rope_base(self) -> float | None:
        nested = self.text.get("rope_parameters")
        inner = nested if isinstance(nested, dict) else {}
        return _number(self.text, ("rope_theta", "rotary_emb_base")) or _number(
            inner, ("rope_theta",)
        )

    def _token_id(self, name: str) -> int | None:
        key = f"{name}_token_id"
        found = self.text.get(key, self.document.get(key))
        if isinstance(found, list):
            found = found[0] if found else None
        return found if isinstance(found, int) else None


def parse_config(document: object) -> HuggingFaceConfig:
    """Check a parsed `config.json`.

    Raises:
        InvalidModel: it does not say what model this is, or a number in it is too large.
    """
    if not isinstance(document, dict):
        raise InvalidModel("not a JSON object")
    if not isinstance(document.get("model_type"), str) or not document["model_type"]:
        raise InvalidModel('"model_type" is missing')
    architectures = document.get("architectures")
    if (
        not isinstance(architectures, list)
        or not architectures
        or not all(isinstance(name, str) for name in architectures)
    ):
        raise InvalidModel('"architectures" is missing')
    config = HuggingFaceConfig(document, _text_part(document))
    config.model_info()  # looks at all numbers
    return config


def _text_part(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow the nested configurations down to the language model's."""
    for key in _NESTED:
        if isinstance(document.get(key), dict):
            return _text_part(document[key])
    return document


def _number(fields: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    return None


def _integer(fields: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    value = _number(fields, names)
    if value is not None and value >= _TOO_LARGE:
        raise InvalidModel(f"{' or '.join(name for name in names if name in fields)} is too large")
    return int(value) if value is not None and value >= 0 else None
