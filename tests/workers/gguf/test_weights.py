"""Weights of every type that GGUF files have, and what type they become."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from common.errors import InvalidModel
from tests.gguf_files import write_gguf
from tests.workers.gguf.tiny_models import CONFIGS, DEMO, write_model
from workers.gguf.folder import convert
from workers.gguf.reader import GgufFile
from workers.gguf.safetensors_files import write_weights
from workers.gguf.weights import Weight

MATRIX = "model.layers.0.mlp.down_proj.weight"

# The most that a matrix may differ, as a share of its size, by the bits of a type.
TOLERANCES = {
    "F32": 1e-7,
    "F16": 1e-3,
    "BF16": 1e-2,
    "Q8_0": 0.02,
    "Q6_K": 0.05,
    "Q5_0": 0.1,
    "Q5_1": 0.1,
    "Q5_K": 0.1,
    "Q4_0": 0.2,
    "Q4_1": 0.2,
    "Q4_K": 0.2,
    "IQ4_NL": 0.2,
    "IQ4_XS": 0.2,
    "Q3_K": 0.3,
    "IQ3_S": 0.3,
    "IQ3_XXS": 0.4,
    "Q2_K": 0.5,
    "IQ2_S": 0.6,
    "IQ2_XS": 0.6,
    "IQ2_XXS": 0.7,
    "IQ1_S": 0.8,
    "IQ1_M": 0.8,
}


@pytest.fixture(scope="module")
def one_matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model's folder with one matrix: ggml takes seconds for all of some types."""
    folder = tmp_path_factory.mktemp("matrix") / "model"
    shutil.copytree(DEMO, folder)
    weights = {MATRIX: load_file(DEMO / "model.safetensors")[MATRIX]}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("kind", TOLERANCES)
def test_every_type_becomes_close_to_what_it_was(
    kind: str, one_matrix: Path, tmp_path: Path
) -> None:
    [tensor] = GgufFile(write_gguf(one_matrix, tmp_path / "model.gguf", kind)).tensors
    values = torch.from_numpy(np.array(tensor.values(slice(None)), np.float32))
    original = load_file(one_matrix / "model.safetensors")[MATRIX].float()
    assert tensor.kind.name == kind
    assert (values - original).norm() / original.norm() < TOLERANCES[kind]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("F32", torch.float32),
        ("F16", torch.float16),
        ("BF16", torch.bfloat16),
        ("Q4_K", torch.bfloat16),
    ],
)
def test_floats_keep_their_type(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    write_gguf(DEMO, tmp_path / "model.gguf", kind)
    target = tmp_path / "target"
    target.mkdir()
    convert(tmp_path, target, lambda *_: None)
    assert {tensor.dtype for tensor in load_file(target / "model.safetensors").values()} == {dtype}


def test_shards_have_a_bounded_size_and_an_index(tmp_path: Path, demo_gguf: Path) -> None:
    tensors = GgufFile(demo_gguf).tensors
    weights = [Weight(it.name, it.shape, it, slice(0, it.row_count)) for it in tensors]
    told: list[int] = []
    write_weights(tmp_path, weights, "float16", 2_000_000, told.append)

    shards = sorted(tmp_path.glob("*.safetensors"))
    found: dict[str, str] = {}
    for shard in shards:
        with safe_open(shard, "pt") as opened:
            found |= dict.fromkeys(opened.keys(), shard.name)
    assert len(shards) > 1
    assert found.keys() == {tensor.name for tensor in tensors}
    assert sum(told) == sum(weight.size("float16") for weight in weights)
    assert all(shard.stat().st_size < 2_010_000 for shard in shards)


@pytest.mark.parametrize(
    ("omitted", "text"),
    [
        ("blk.1.ffn_down.weight", "down_proj.weight is missing instead of"),
        ("token_embd.weight", "no tensor token_embd.weight"),
        ("llama.rope.freq_base", ""),
        ("llama.block_count", "no number llama.block_count"),
        ("tokenizer.ggml.tokens", "0 tokens and 3072 embeddings"),
        ("tokenizer.ggml.merges", ""),
        ("general.architecture", "does not state its architecture"),
    ],
)
def test_what_a_file_lacks_is_named(omitted: str, text: str, tmp_path: Path) -> None:
    write_gguf(DEMO, tmp_path / "model.gguf", "F16", omit=frozenset({omitted}))
    target = tmp_path / "target"
    target.mkdir()
    if text:
        with pytest.raises(InvalidModel, match=text):
            convert(tmp_path, target, lambda *_: None)
    else:
        convert(tmp_path, target, lambda *_: None)


def test_a_window_that_the_family_does_not_have_is_refused(tmp_path: Path) -> None:
    config = CONFIGS["llama"].__class__(**CONFIGS["llama"].to_dict() | {"sliding_window": 16})
    write_gguf(write_model(config, tmp_path / "original"), tmp_path / "model.gguf", "F16")
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(InvalidModel, match=r"llama\.attention\.sliding_window = 16 are not"):
        convert(tmp_path, target, lambda *_: None)
