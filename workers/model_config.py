"""A model's `config.json`, with what it leaves to others to know."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from common.errors import InvalidModel
from workers.plan import states_shape

# As safetensors files name them, and as configurations do.
_TYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def read_config(folder: Path) -> dict[str, Any]:
    """Read the configuration of the model in a folder.

    A shape that its class has for a default is written out in `text_config`: configurations of
    multimodal models leave out what is as usual. A missing `dtype` is that of the weights:
    vLLM would take half precision, which is slow on a CPU.

    Raises:
        InvalidModel: it is missing or wrong, or the weights are damaged.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidModel(f"the model has no readable config.json: {error}") from error
    if not isinstance(config, dict):
        raise InvalidModel("the model's config.json is not an object")
    if not states_shape(config):
        config["text_config"] = _text_config(folder)
    if not (config.get("dtype") or config.get("torch_dtype")):
        config["dtype"] = _stored_type(folder)
    return config


def _text_config(folder: Path) -> dict[str, Any]:
    from transformers import AutoConfig  # slow, and seldom needed

    try:
        text: dict[str, Any] = AutoConfig.from_pretrained(folder).get_text_config().to_dict()
    except Exception as error:  # whatever a class makes of wrong values
        reason = str(error).partition("\n")[0]
        raise InvalidModel(f"the model's config.json is not understood: {reason}") from error
    return text


def _stored_type(folder: Path) -> str | None:
    """Tell in what type the first file has most of its weights."""
    sizes: Counter[str] = Counter()
    for file in sorted(folder.glob("*.safetensors"))[:1]:
        try:
            with safe_open(file, "np") as weights:
                for name in weights.keys():  # noqa: SIM118
                    tensor = weights.get_slice(name)
                    sizes[tensor.get_dtype()] += math.prod(tensor.get_shape())
        except SafetensorError as error:
            raise InvalidModel(f"{file.name} is damaged: {error}") from error
    return _TYPES.get(sizes.most_common(1)[0][0]) if sizes else None
