"""GGUF files that lack what a model of their architecture must have."""

from collections.abc import Mapping
from typing import Any

import pytest

from common.errors import InvalidModel
from tests.services.registry.gguf.building import LLAMA, TENSORS, gguf
from tests.services.registry.running import Registry

PLAIN = ("F16", (2, 2))


def without(entries: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if key != name}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            gguf(without(LLAMA, "tokenizer.ggml.tokens")),
            'it has no tokenizer: "tokenizer.ggml.tokens" is missing',
        ),
        (gguf({**LLAMA, "tokenizer.ggml.tokens": []}), "it has no tokenizer"),
        *(
            (gguf(LLAMA, without(TENSORS, f"{name}.weight")), f"it has no tensor {name}")
            for name in ("token_embd", "output_norm", "blk.0.attn_q", "blk.0.ffn_down")
        ),
        (
            gguf({**LLAMA, "llama.block_count": 2}),
            "it has no tensor blk.1.attn_norm.weight, which a llama must have",
        ),
        (
            gguf({**LLAMA, "llama.block_count": 2**31}),
            "it has no tensors for its 2147483648 layers",
        ),
        (
            gguf({**LLAMA, "llama.embedding_length": 128}),
            "token_embd.weight is not as wide as 'llama.embedding_length', 128, says",
        ),
    ],
)
async def test_what_is_missing_is_told(registry: Registry, model: bytes, message: str) -> None:
    with pytest.raises(InvalidModel) as error:
        await registry.create("broken", {"x.gguf": model})
    assert error.value.message.startswith(f"x.gguf: {message}")
    assert await registry.names() == []


@pytest.mark.parametrize(
    ("metadata", "tensors"),
    [
        ({"general.architecture": "unheard-of"}, {"a.weight": ("F16", (4, 4))}),
        ({**LLAMA, "general.architecture": "unheard-of"}, {"token_embd.weight": ("F16", (4, 4))}),
        (LLAMA, {**without(TENSORS, "blk.0.ffn_up.weight"), "blk.0.ffn_up.0.weight": PLAIN}),
        (LLAMA, {**without(TENSORS, "blk.0.ffn_up.weight"), "blk.0.ffn_up_exps.weight": PLAIN}),
        (LLAMA, {**without(TENSORS, "blk.0.attn_q.weight"), "blk.0.attn_qkv.weight": PLAIN}),
    ],
)
async def test_nothing_is_asked_for_that_others_do_without(
    registry: Registry, metadata: dict[str, Any], tensors: dict[str, Any]
) -> None:
    await registry.create("x", {"x.gguf": gguf(metadata, tensors)})
    assert await registry.names() == ["x:latest"]
