"""GGUF models, quantised while they are created."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType
from numpy.typing import NDArray

from common.errors import InvalidRequest
from services.registry.gguf.layers import model_digests
from services.registry.manifest import parse_manifest
from tests.services.registry.quantize.weights import random_matrix, relative_error
from tests.services.registry.running import Registry, blob_path

BLOCKS = 8
HIDDEN, INNER = 256, 320

# How much a matrix may change by its type, as a part of its norm.
ERRORS = {
    "Q4_K": 0.09,
    "Q5_K": 0.05,
    "Q6_K": 0.025,
    "Q8_0": 0.01,
    "Q5_0": 0.07,
    "Q5_1": 0.06,
    "F16": 1e-3,
    "BF16": 1e-2,
    "F32": 0,
}
_NORMED = ("attn", "ffn")
CHANGED = {"general.file_type", "general.quantization_version", "GGUF.kv_count"}


def tensors(dtype: str) -> dict[str, NDArray[Any]]:
    shapes = {"token_embd.weight": (512, HIDDEN)}
    norms = [f"blk.{block}.{name}_norm.weight" for block in range(BLOCKS) for name in _NORMED]
    for block in range(BLOCKS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            shapes[f"blk.{block}.{name}.weight"] = (HIDDEN, HIDDEN)
        for name in ("ffn_gate", "ffn_up"):
            shapes[f"blk.{block}.{name}.weight"] = (INNER, HIDDEN)
        shapes[f"blk.{block}.ffn_down.weight"] = (HIDDEN, INNER)
    made: dict[str, NDArray[Any]] = {
        name: random_matrix(*shape, dtype, seed)
        for seed, (name, shape) in enumerate(shapes.items())
    }
    norms.append("output_norm.weight")
    return made | {name: np.ones(HIDDEN, np.float32) for name in norms}


def write(
    path: Path, weights: Mapping[str, NDArray[Any]], dtype: str, split: int = 0
) -> dict[str, bytes]:
    """Write a file, or several with that many tensors each; give them by their names."""
    writer = GGUFWriter(path, "llama", split_max_tensors=split)
    writer.add_block_count(BLOCKS)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_head_count(4)
    writer.add_file_type(LlamaFileType[f"{'ALL' if dtype == 'F32' else 'MOSTLY'}_{dtype}"])
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token {number}" for number in range(512)])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5])
    for name, tensor in weights.items():
        kind = GGMLQuantizationType.BF16 if tensor.dtype.name == "bfloat16" else None
        raw = tensor.view(np.uint8) if kind else tensor
        writer.add_tensor(name, raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return {file.name: file.read_bytes() for file in path.parent.glob(f"{path.stem}*.gguf")}


async def made_files(registry: Registry, model: str) -> list[GGUFReader]:
    stored = next(it for it in await registry.manifests() if it.name.model == model)
    digests = model_digests(parse_manifest(stored.content).layers)
    return [GGUFReader(blob_path(registry.folder, digest)) for digest in digests]


def restored(found: gguf.ReaderTensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = gguf.quants.dequantize(found.data, found.tensor_type)
    return values


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        ("F16", "q4_K_M"),
        ("BF16", "q4_K_S"),
        ("F32", "q8_0"),
        ("BF16", "f16"),
        ("F16", "bf16"),
        ("F16", "f32"),
        ("F16", "f16"),
    ],
)
async def test_weights_and_metadata(
    registry: Registry, tmp_path: Path, dtype: str, wanted: str
) -> None:
    source = tensors(dtype)
    files = write(tmp_path / "source.gguf", source, dtype)
    await registry.create("base", files)
    lines = await registry.create_from("x", "base", quantize=wanted)
    (made,) = await made_files(registry, "x")
    assert {it.name: tuple(it.shape[::-1]) for it in made.tensors} == {
        name: tensor.shape for name, tensor in source.items()
    }
    for found in made.tensors:
        error = relative_error(restored(found), source[found.name])
        assert error <= ERRORS[found.tensor_type.name], found.name
    before = GGUFReader(tmp_path / "source.gguf").fields
    for key, field in before.items():
        if key not in CHANGED:
            assert [bytes(it) for it in made.fields[key].parts] == [bytes(it) for it in field.parts]
    details = (await registry.show("x")).summary.details
    assert details.quantization_level == wanted.upper()
    if wanted.upper() != dtype:
        assert lines[0] == f"quantizing {dtype} model to {wanted.upper()}"
        kind = LlamaFileType(made.fields["general.file_type"].contents())
        assert kind.name.partition("_")[2] == wanted.upper()
        assert made.fields["general.quantization_version"].contents() == 2


async def test_the_mixture(registry: Registry, tmp_path: Path) -> None:
    files = write(tmp_path / "source.gguf", tensors("F16"), "F16")
    await registry.create("x", files, quantize="q4_K_M")
    (made,) = await made_files(registry, "x")
    types = {tensor.name: tensor.tensor_type.name for tensor in made.tensors}
    assert types["token_embd.weight"] == "Q6_K"  # it is the output, too
    values = [types[f"blk.{block}.attn_v.weight"] for block in range(BLOCKS)]
    assert values == ["Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q6_K"]
    # Rows of 320 do not divide into blocks of 256.
    down = [types[f"blk.{block}.ffn_down.weight"] for block in range(BLOCKS)]
    assert down == ["Q8_0", "Q5_0", "Q5_0", "Q8_0", "Q5_0", "Q5_0", "Q8_0", "Q8_0"]
    assert types["output_norm.weight"] == "F32"


async def test_shards_are_one_model(registry: Registry, tmp_path: Path) -> None:
    shards = write(tmp_path / "source.gguf", tensors("F16"), "F16", split=20)
    assert len(shards) > 2
    await registry.create("base", shards)
    await registry.create_from("x", "base", quantize="q4_K_M")
    made = await made_files(registry, "x")
    types = {it.name: it.tensor_type.name for file in made for it in file.tensors}
    values = [types[f"blk.{block}.attn_v.weight"] for block in range(BLOCKS)]
    assert values == ["Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q6_K"]
    assert ["general.file_type" in file.fields for file in made] == [True] + [False] * (
        len(made) - 1
    )
    assert (await registry.resolve("x")).spec.details.quantization_level == "Q4_K_M"


async def test_a_quantized_file(registry: Registry, tmp_path: Path) -> None:
    files = write(tmp_path / "source.gguf", tensors("F16"), "F16")
    await registry.create("small", files, quantize="q8_0")
    with pytest.raises(InvalidRequest, match="only supported for F16, BF16 and F32 models"):
        await registry.create_from("smaller", "small", quantize="q4_K_M")
