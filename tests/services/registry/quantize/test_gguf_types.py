"""Which type each tensor of a GGUF file gets."""

from typing import Any

import pytest
from gguf.constants import GGMLQuantizationType as Type

from services.registry.gguf.file import GgufFile
from services.registry.gguf.model import GgufModel
from services.registry.gguf.tensors import Tensor
from services.registry.quantize.file_type import FileType
from services.registry.quantize.gguf_types import choose_types

M, S, Q8 = FileType.Q4_K_M, FileType.Q4_K_S, FileType.Q8_0


def model(
    names: list[str],
    *,
    architecture: str = "llama",
    shape: tuple[int, ...] = (512, 256),
    dtype: str = "F16",
    **counts: Any,
) -> GgufModel:
    metadata: dict[str, Any] = {"general.architecture": architecture}
    metadata |= {f"{architecture}.{name.replace('__', '.')}": it for name, it in counts.items()}
    tensors = tuple(Tensor(name, dtype, shape, 0, 0) for name in names)
    return GgufModel((GgufFile(metadata, tensors, frozenset(), None, ""),))


def blocks(name: str, count: int) -> list[str]:
    return [f"blk.{number}.{name}.weight" for number in range(count)]


def chosen(made_of: GgufModel, wanted: FileType) -> list[str]:
    return [kind.name for kind in choose_types(made_of, wanted).values()]


@pytest.mark.parametrize("name", ["attn_v", "attn_qkv", "attn_kv_b", "ffn_down"])
def test_a_mixture_gives_more_bits_to_some_layers(name: str) -> None:
    types = chosen(model(blocks(name, 32), block_count=32), M)
    more = {*range(4), *range(6, 28, 3), *range(28, 32)}
    assert [number for number, kind in enumerate(types) if kind == "Q6_K"] == sorted(more)
    assert {kind for kind in types if kind != "Q6_K"} == {"Q4_K"}


@pytest.mark.parametrize(("name", "more"), [("attn_v", 4), ("ffn_down", 2)])
def test_the_smaller_mixture(name: str, more: int) -> None:
    types = chosen(model(blocks(name, 16), block_count=16), S)
    assert types == ["Q5_K"] * more + ["Q4_K"] * (16 - more)


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("blk.0.attn_q.weight", M, "Q4_K"),
        ("blk.0.ffn_gate_exps.weight", M, "Q4_K"),
        ("output.weight", M, "Q6_K"),
        ("token_embd.weight", M, "Q6_K"),
        ("output.weight", Q8, "Q8_0"),
        ("blk.0.attn_v.weight", Q8, "Q8_0"),
        ("blk.0.attn_v.weight", FileType.F32, "F32"),
    ],
)
def test_single_matrices(name: str, wanted: FileType, expected: str) -> None:
    assert chosen(model([name], block_count=8), wanted) == [expected]


def test_embeddings_beside_an_output() -> None:
    types = choose_types(model(["token_embd.weight", "output.weight"]), M)
    assert types == {"token_embd.weight": Type.Q4_K, "output.weight": Type.Q6_K}


@pytest.mark.parametrize(
    ("columns", "name", "wanted", "expected"),
    [
        (96, "blk.0.attn_q.weight", M, "Q5_0"),
        (96, "blk.0.attn_v.weight", M, "Q8_0"),
        (96, "blk.0.attn_v.weight", S, "Q5_1"),
        (96, "output.weight", M, "Q8_0"),
        (80, "blk.0.attn_q.weight", M, "F16"),
        (80, "output.weight", M, "F16"),
        (80, "blk.0.attn_q.weight", Q8, "F16"),
    ],
)
def test_rows_that_are_not_whole_blocks(
    columns: int, name: str, wanted: FileType, expected: str
) -> None:
    made_of = model([name], shape=(columns, 64), dtype="F32", block_count=1)
    assert chosen(made_of, wanted) == [expected]


@pytest.mark.parametrize(
    "name",
    [
        "output_norm.weight",
        "blk.0.attn_q.bias",
        "blk.0.ffn_gate_inp.weight",
        "blk.0.ssm_conv1d.weight",
        "position_embd.weight",
        "v.blk.0.attn_q.weight",
        "mm.0.weight",
    ],
)
def test_what_stays(name: str) -> None:
    assert chosen(model([name]), M) == []


def test_what_is_no_matrix_of_floats_stays() -> None:
    name = ["blk.0.attn_q.weight"]
    assert chosen(model(name, dtype="I32"), M) == []
    assert chosen(model(name, shape=(512,)), M) == []
    assert chosen(model(name, shape=(512, 1)), M) == []
    assert chosen(model(name, shape=(512, 4, 8)), M) == ["Q4_K"]


@pytest.mark.parametrize(
    ("name", "counts", "expected"),
    [
        ("attn_v", {"expert_count": 8}, "Q8_0"),
        ("attn_k", {"expert_count": 8}, "Q8_0"),
        ("attn_output", {"expert_count": 8}, "Q5_K"),
        ("attn_output", {}, "Q4_K"),
        (
            "attn_v",
            {"block_count": 80, "attention__head_count": 64, "attention__head_count_kv": 8},
            "Q5_K",
        ),
    ],
)
def test_models_with_rules_of_their_own(name: str, counts: dict[str, int], expected: str) -> None:
    numbers: dict[str, Any] = {"block_count": 80, **counts}
    made_of = model(blocks(name, 80), **numbers)
    assert chosen(made_of, M)[11] == expected


@pytest.mark.parametrize(
    ("architecture", "name", "expected"),
    [
        ("gemma3n", "per_layer_token_embd.weight", "F16"),
        ("deepseek2", "blk.0.attn_q_a.weight", "Q8_0"),
        ("glm4", "token_embd.weight", "F16"),
        ("qwen35", "blk.0.nextn.eh_proj.weight", "Q8_0"),
        ("llama", "blk.0.attn_q_a.weight", "Q4_K"),
    ],
)
def test_matrices_that_four_bits_would_damage(architecture: str, name: str, expected: str) -> None:
    assert chosen(model([name], architecture=architecture, dtype="BF16"), M) == [expected]
