"""Each family's models, from safetensors to GGUF and back: they compute what they did."""

from pathlib import Path

import pytest
import torch

from tests.gguf_files import write_gguf
from tests.workers.gguf.tiny_models import CONFIGS, logits, write_model
from workers.gguf.folder import convert


@pytest.mark.parametrize("name", CONFIGS)
def test_a_converted_model_computes_what_the_original_does(name: str, tmp_path: Path) -> None:
    original = write_model(CONFIGS[name], tmp_path / "original")
    (tmp_path / "gguf").mkdir()
    write_gguf(original, tmp_path / "gguf" / "model.gguf", "F32")
    target = tmp_path / "converted"
    target.mkdir()

    convert(tmp_path / "gguf", target, lambda *_: None)

    torch.testing.assert_close(logits(target), logits(original), rtol=1e-4, atol=1e-4)
