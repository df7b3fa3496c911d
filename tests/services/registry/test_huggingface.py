from typing import Any

import pytest

from common.errors import InvalidModel
from services.registry.huggingface import parse_config

MINIMAL = {"model_type": "x", "architectures": ["X"]}


@pytest.mark.parametrize(
    ("fields", "info"),
    [
        ({}, {}),
        (
            {"n_ctx": 1024, "n_embd": 768, "n_layer": 12, "n_head": 8, "layer_norm_epsilon": 1e-5},
            {
                "x.context_length": 1024,
                "x.embedding_length": 768,
                "x.block_count": 12,
                "x.attention.head_count": 8,
                "x.attention.head_count_kv": 8,
                "x.attention.layer_norm_epsilon": 1e-5,
            },
        ),
        (
            {"eos_token_id": [7, 8], "bos_token_id": None, "pad_token_id": 0},
            {"tokenizer.ggml.eos_token_id": 7, "tokenizer.ggml.padding_token_id": 0},
        ),
        (
            {"text_config": {"hidden_size": 32, "rope_parameters": {"rope_theta": 1e6}}},
            {"x.embedding_length": 32, "x.rope.freq_base": 1e6},
        ),
        (
            {"thinker_config": {"text_config": {"num_local_experts": 8, "num_experts_per_tok": 2}}},
            {"x.expert_count": 8, "x.expert_used_count": 2},
        ),
        (
            {"n_embd": 64, "n_head": 4, "rope_theta": 1e4},
            {
                "x.embedding_length": 64,
                "x.attention.head_count": 4,
                "x.attention.head_count_kv": 4,
                "x.rope.dimension_count": 16,
                "x.rope.freq_base": 1e4,
            },
        ),
        (
            {"head_dim": 128, "rope_theta": 1e4},
            {
                "x.attention.key_length": 128,
                "x.attention.value_length": 128,
                "x.rope.dimension_count": 128,
                "x.rope.freq_base": 1e4,
            },
        ),
        ({"hidden_size": "wide", "n_layer": True, "sliding_window": None}, {}),
    ],
)
def test_model_info(fields: dict[str, Any], info: dict[str, Any]) -> None:
    assert parse_config({**MINIMAL, **fields}).model_info() == info


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "not a JSON object"),
        ({}, '"model_type" is missing'),
        ({"model_type": 3, "architectures": ["X"]}, '"model_type" is missing'),
        ({"model_type": "x"}, '"architectures" is missing'),
        ({"model_type": "x", "architectures": []}, '"architectures" is missing'),
        ({"model_type": "x", "architectures": [1]}, '"architectures" is missing'),
        ({**MINIMAL, "n_ctx": 1e300}, "n_ctx is too large"),
        ({**MINIMAL, "text_config": {"vocab_size": 2**63}}, "vocab_size is too large"),
    ],
)
def test_configurations_that_name_no_model(document: object, message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        parse_config(document)
