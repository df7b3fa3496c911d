import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from common.errors import InvalidModel
from workers.model_config import read_config
from workers.plan import cache_bytes_per_token, text_config

SHAPE = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 64}


def write(folder: Path, config: object) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_what_it_says_is_not_changed(tmp_path: Path) -> None:
    config = {**SHAPE, "torch_dtype": "bfloat16"}
    assert read_config(write(tmp_path, config)) == config


def test_defaults_of_the_models_class_are_written_out(tmp_path: Path) -> None:
    """As in the configuration of LLaVA 1.5, whose text part is a Llama of 7 B parameters."""
    config = {
        "model_type": "llava",
        "text_config": {"model_type": "llama", "max_position_embeddings": 4096},
        "vision_config": {"model_type": "clip_vision_model"},
        "torch_dtype": "float16",
    }
    text = text_config(read_config(write(tmp_path, config)))
    assert text["max_position_embeddings"] == 4096
    assert cache_bytes_per_token(text) == 2 * 32 * 32 * 128 * 2


@pytest.mark.parametrize(
    ("stored", "dtype"), [(np.float32, "float32"), (np.float16, "float16"), (np.int8, None)]
)
def test_a_missing_type_is_that_of_most_weights(
    tmp_path: Path, stored: type[np.generic], dtype: str | None
) -> None:
    weights = {
        "large": np.zeros((64, 64), stored),
        "positions": np.zeros(512, np.int64),
        "norm": np.zeros(64, np.float32),
    }
    save_file(weights, tmp_path / "model.safetensors")
    assert read_config(write(tmp_path, SHAPE))["dtype"] == dtype


def test_what_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"no readable config\.json"):
        read_config(tmp_path)
    with pytest.raises(InvalidModel, match="not an object"):
        read_config(write(tmp_path, []))
    with pytest.raises(InvalidModel, match=r"not understood: .*nonsense"):
        read_config(write(tmp_path, {"model_type": "nonsense"}))


def test_damaged_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"none")
    with pytest.raises(InvalidModel, match=r"model\.safetensors is damaged"):
        read_config(write(tmp_path, SHAPE))
