from typing import Any

import pytest

from common.errors import InvalidModel
from services.registry.safetensors import Tensor
from services.registry.weights import (
    check_index,
    check_numbering,
    count_parameters,
    name_file_type,
    served_tensors,
)

A, B = Tensor("a", "BF16", (10,)), Tensor("b", "BF16", (20,))

INT4 = {
    "quant_method": "compressed-tensors",
    "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int"}}},
}
INT8 = {
    "quant_method": "compressed-tensors",
    "config_groups": {
        "group_0": {
            "weights": {"num_bits": 8, "type": "int"},
            "input_activations": {"num_bits": 8, "type": "int"},
        }
    },
}
PACKED = [
    Tensor("x.weight_packed", "I32", (8, 2)),
    Tensor("x.weight_scale", "BF16", (8, 1)),
    Tensor("x.weight_shape", "I64", (2,)),
    Tensor("norm.weight", "BF16", (16,)),
]


def test_a_gap_in_a_numbered_series() -> None:
    check_numbering(["model.safetensors"])
    check_numbering(["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
    with pytest.raises(InvalidModel, match=r"model-00002-of-00003\.safetensors is missing"):
        check_numbering(["model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"])


@pytest.mark.parametrize("folder", ["", "2_Dense/"])
def test_a_complete_index(folder: str) -> None:
    tensors = {f"{folder}1.safetensors": [A], f"{folder}2.safetensors": [B]}
    index = {"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}
    check_index(f"{folder}model.safetensors.index.json", index, tensors)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({}, '"weight_map" is missing'),
        ({"weight_map": {"a": "3.safetensors"}}, "3.safetensors, which is missing"),
        ({"weight_map": {"b": "1.safetensors"}}, "tensor b is not in 1.safetensors"),
        ({"weight_map": {"a": None}}, "None, which is missing"),
    ],
)
def test_an_index_of_other_files(index: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        check_index("model.safetensors.index.json", index, {"1.safetensors": [A]})


def test_weights_that_are_there_twice_count_once() -> None:
    assert served_tensors({"model.safetensors": [A, B], "consolidated.safetensors": [A]}) == [A, B]
    assert served_tensors({"consolidated.safetensors": [A]}) == [A]
    assert served_tensors({"model.safetensors": [A], "2_Dense/model.safetensors": [B]}) == [A]


@pytest.mark.parametrize(
    ("tensors", "quantization", "count", "file_type"),
    [
        ([A, B], {}, 30, "BF16"),
        ([A, Tensor("c", "F32", (6,))], {}, 16, "F32"),
        (PACKED, INT4, 8 * 2 * 8 + 16, "W4A16"),
        ([Tensor("x.weight", "I8", (8, 2))], INT8, 16, "W8A8"),
        ([Tensor("x.qweight", "I32", (4, 4))], {"quant_method": "gptq", "bits": 8}, 64, "INT8"),
        ([Tensor("x.w_blocks", "U8", (4,))], {"quant_method": "mxfp4"}, 8, "MXFP4"),
        (
            [Tensor("x.weight", "F8_E4M3", (4,)), Tensor("x.weight_scale", "F32", (1,))],
            {"quant_method": "fp8"},
            4,
            "FP8",
        ),
        ([], {}, 0, ""),
    ],
)
def test_sizes_and_types(
    tensors: list[Tensor], quantization: dict[str, Any], count: int, file_type: str
) -> None:
    assert count_parameters(tensors, quantization) == count
    assert name_file_type(tensors, quantization) == file_type
