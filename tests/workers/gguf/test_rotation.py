"""Rotary positions: the parameters that models were published with come back."""

import json
from pathlib import Path

import pytest

from tests.gguf_files import write_gguf
from tests.workers.gguf.tiny_models import CONFIGS, write_model
from workers.gguf.folder import convert


@pytest.mark.parametrize("name", ["llama", "llama 3", "llama, linear", "qwen2", "gemma3", "phi3"])
def test_parameters_come_back(name: str, tmp_path: Path) -> None:
    original = write_model(CONFIGS[name], tmp_path / "original")
    write_gguf(original, tmp_path / "model.gguf", "F16")
    target = tmp_path / "target"
    target.mkdir()
    convert(tmp_path, target, lambda *_: None, weights=False)
    wanted = json.loads((original / "config.json").read_text())["rope_parameters"]
    found = json.loads((target / "config.json").read_text())["rope_parameters"]
    if name == "phi3":
        wanted.pop("partial_rotary_factor", None)
        assert found.pop("long_factor") == pytest.approx(wanted.pop("long_factor"))
        assert found.pop("short_factor") == pytest.approx(wanted.pop("short_factor"))
    assert found == wanted
