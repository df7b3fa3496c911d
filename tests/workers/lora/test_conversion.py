import json
from pathlib import Path
from typing import Any

import pytest
import torch

from common.errors import InvalidModel
from tests.gguf_adapters import make_gguf_adapter
from tests.lora_adapters import make_adapter, read_adapter
from tests.services.registry.gguf.building import gguf
from workers.lora.conversion import convert_adapter, converted_size

DEMO = Path(__file__).parents[3] / "examples" / "demo_model" / "model"
KEYS = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
QUERY = "blk.0.attn_q.weight"


def convert(folder: Path, content: bytes) -> Path:
    source, target = folder / "adapter.gguf", folder / "converted"
    source.write_bytes(content)
    target.mkdir()
    convert_adapter(source, DEMO, target)
    return target


def pair(name: str, rank: int) -> dict[str, Any]:
    return {f"{name}.lora_a": ("F16", (256, rank)), f"{name}.lora_b": ("F16", (rank, 256))}


def test_what_peft_had_written_comes_back(tmp_path: Path) -> None:
    original = make_adapter(tmp_path / "original", DEMO, rank=4, alpha=6)
    source = make_gguf_adapter(tmp_path / "adapter.gguf", original, heads=4, key_heads=2)
    (tmp_path / "converted").mkdir()
    convert_adapter(source, DEMO, tmp_path / "converted")
    expected, factor = read_adapter(original)
    found, found_factor = read_adapter(tmp_path / "converted")
    assert found_factor == pytest.approx(factor)
    assert found.keys() == expected.keys()
    for module, (first, second) in expected.items():
        assert torch.equal(found[module][0], first)
        assert torch.equal(found[module][1], second)
    written = sum(path.stat().st_size for path in (tmp_path / "converted").iterdir())
    assert written <= converted_size(source)


@pytest.mark.parametrize("alpha", [8.0, 0.0])
def test_ranks_that_differ(tmp_path: Path, alpha: float) -> None:
    """Without an alpha each product is added as it is, whatever its rank."""
    tensors = {
        **pair(QUERY, 4),
        "blk.1.ffn_down.weight.lora_a": ("F16", (512, 2)),
        "blk.1.ffn_down.weight.lora_b": ("F16", (2, 256)),
    }
    folder = convert(tmp_path, gguf({**KEYS, "adapter.lora.alpha": alpha}, tensors))
    config = json.loads((folder / "adapter_config.json").read_bytes())
    module = r"model\.layers\.1\.mlp\.down_proj"
    assert config["r"] == 4
    assert config["lora_alpha"] == (alpha or 4)
    assert config["rank_pattern"] == {module: 2}
    assert config["alpha_pattern"] == ({} if alpha else {module: 2})


@pytest.mark.parametrize(
    ("keys", "tensors", "message"),
    [
        ({"adapter.type": "other"}, pair(QUERY, 4), "not a LoRA adapter"),
        ({"general.architecture": "odd"}, pair(QUERY, 4), "'odd' are not supported"),
        ({}, {}, "the adapter has no tensors"),
        ({}, {"blk.0.attn_q.weight": ("F16", (8, 8))}, "a tensor that is not known"),
        ({}, {f"{QUERY}.lora_a": ("F16", (8, 4))}, "only one of two matrices"),
        (
            {},
            {f"{QUERY}.lora_a": ("F16", (8, 4)), f"{QUERY}.lora_b": ("F16", (5, 8))},
            "do not fit together",
        ),
        ({}, pair("token_embd.weight", 4), "adapters of token_embd.weight are not supported"),
        ({}, pair("blk.0.unheard.weight", 4), "adapters of blk.0.unheard.weight are not supp"),
        (
            {},
            {f"{QUERY}.lora_a": ("F16", (256, 4)), f"{QUERY}.lora_b": ("F16", (4, 250))},
            "has other heads",
        ),
    ],
)
def test_what_is_refused(
    tmp_path: Path, keys: dict[str, str], tensors: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidModel, match=message):
        convert(tmp_path, gguf({**KEYS, **keys}, tensors))
