"""Which layers are quantised."""

import pytest

from common.errors import InvalidModel
from services.registry.quantize.layers import choose_layers, ignored_layers
from services.registry.safetensors import Tensor


def tensors(*names: str, shape: tuple[int, ...] = (64, 64), dtype: str = "BF16") -> list[Tensor]:
    return [Tensor(name, dtype, shape) for name in names]


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.q_proj.weight",
        "layers.11.mlp.down_proj.weight",
        "model.language_model.layers.3.self_attn.o_proj.weight",
        "language_model.model.layers.3.self_attn.qkv_proj.weight",
        "model.layers.0.block_sparse_moe.experts.7.w2.weight",
        "model.layers.0.mlp.experts.7.down_proj.weight",
        "model.layers.0.mlp.shared_experts.gate_up_proj.weight",
        "model.layers.0.self_attn.kv_a_proj_with_mqa.weight",
        "model.decoder.layers.0.fc1.weight",
    ],
)
def test_a_decoder_s_layers(name: str) -> None:
    assert choose_layers(tensors(name)) == {name}


@pytest.mark.parametrize(
    "name",
    [
        "lm_head.weight",
        "model.embed_tokens.weight",
        "model.layers.0.mlp.gate.weight",
        "model.layers.0.mlp.shared_expert_gate.weight",
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.self_attn.q_proj.bias",
        "model.vision_tower.encoder.layers.0.self_attn.q_proj.weight",
        "vision_model.layers.0.mlp.fc1.weight",
        "model.visual.layers.0.mlp.up_proj.weight",
        "mtp.layers.0.self_attn.q_proj.weight",
        "audio_tower.layers.0.fc1.weight",
        "encoder.layers.0.self_attn.k_proj.weight",
    ],
)
def test_others_stay(name: str) -> None:
    own = tensors("model.layers.0.mlp.down_proj.weight")
    assert choose_layers([*own, *tensors(name)]) == {own[0].name}


@pytest.mark.parametrize(
    ("odd", "shape", "dtype", "others"),
    [
        ("self_attn.k_proj", (16, 64), "BF16", {"mlp.up_proj", "mlp.gate_proj"}),
        ("mlp.up_proj", (64, 48), "BF16", {"self_attn.q_proj", "self_attn.k_proj"}),
        ("mlp.gate_proj", (64, 64), "F64", {"self_attn.q_proj", "self_attn.k_proj"}),
    ],
)
def test_layers_that_the_engine_joins_stay_together(
    odd: str, shape: tuple[int, ...], dtype: str, others: set[str]
) -> None:
    names = ("self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj", "mlp.gate_proj")
    full = {name: f"model.layers.0.{name}.weight" for name in names}
    found = [
        Tensor(path, dtype if name == odd else "BF16", shape if name == odd else (64, 64))
        for name, path in full.items()
    ]
    assert choose_layers(found) == {full[name] for name in others}
    assert f"model.layers.0.{odd}" in ignored_layers(found, choose_layers(found))


def test_one_expert_that_does_not_fit_keeps_all() -> None:
    shapes = [(64, 64), (64, 40)]
    experts = [
        Tensor(f"model.layers.0.mlp.experts.{number}.up_proj.weight", "F16", shape)
        for number, shape in enumerate(shapes)
    ]
    other = tensors("model.layers.1.mlp.experts.0.up_proj.weight")
    assert choose_layers([*experts, *other]) == {other[0].name}


@pytest.mark.parametrize(
    "name", ["model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.moe.input_linear.weight"]
)
def test_experts_in_one_tensor_are_refused(name: str) -> None:
    with pytest.raises(InvalidModel, match=name):
        choose_layers(tensors(name, shape=(8, 64, 128)))


def test_a_convolution_is_no_expert() -> None:
    own = tensors("model.layers.0.mlp.down_proj.weight")
    narrow = tensors("model.layers.0.linear_attn.conv1d.weight", shape=(64, 1, 4))
    assert choose_layers([*own, *narrow]) == {own[0].name}
    assert "model.layers.0.linear_attn.conv1d" in ignored_layers([*own, *narrow], frozenset())
