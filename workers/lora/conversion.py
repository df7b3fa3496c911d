"""A LoRA adapter in GGUF, made into the two files that PEFT would have written.

llama.cpp's convert_lora_to_gguf.py makes such adapters: beside each adapted tensor's name
stand `.lora_a` and `.lora_b`, in the order of the base model's own rows in GGUF.
"""

import json
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from gguf import Keys
from numpy.typing import NDArray
from safetensors.numpy import save_file

from common.errors import InvalidModel
from workers.gguf.families import Family, family_of
from workers.gguf.reader import GgufTensor
from workers.gguf.source import GgufSource

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"

_NAME = re.compile(r"(?:blk\.(\d+)\.)?(\w+)\.weight\.lora_([ab])")
_ROTATED = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
_ELEMENT = 4  # bytes of a number as it is written

Matrix = NDArray[np.float32]


@dataclass
class _Pair:
    """What is added to one layer: the product of `second` and `first`."""

    first: Matrix | None = None
    second: Matrix | None = None


def converted_size(path: Path) -> int:
    """Give the bytes that a converted adapter takes at most.

    Raises:
        InvalidModel: the file is damaged.
    """
    tensors = GgufSource([path]).tensors.values()
    return sum(_ELEMENT * prod(tensor.shape) for tensor in tensors) + (1 << 20)


def convert_adapter(path: Path, base: Path, target: Path) -> None:
    """Convert an adapter; blocks.

    Args:
        path: its GGUF file.
        base: the folder of the model that it is for, as vLLM loads it.
        target: an empty folder.

    Raises:
        InvalidModel: the file is damaged, of a kind that is not supported, or for a model of
            another shape.
    """
    source = GgufSource([path])
    if source.metadata.find(Keys.Adapter.TYPE) != "lora":
        raise InvalidModel("the GGUF file is not a LoRA adapter")
    config = json.loads((base / "config.json").read_bytes())
    pairs = _read_pairs(source, config.get("text_config") or config)
    alpha = float(source.metadata.find(Keys.Adapter.LORA_ALPHA) or 0)
    (target / CONFIG_FILE).write_text(json.dumps(_peft_config(pairs, alpha)), encoding="utf-8")
    tensors = {
        f"base_model.model.{module}.{matrix}.weight": np.ascontiguousarray(values)
        for module, (first, second) in pairs.items()
        for matrix, values in (("lora_A", first), ("lora_B", second))
    }
    save_file(tensors, target / WEIGHTS_FILE)


def _read_pairs(source: GgufSource, config: dict[str, Any]) -> dict[str, tuple[Matrix, Matrix]]:
    family = family_of(source)
    found: dict[str, _Pair] = {}
    for tensor in source.tensors.values():
        match = _NAME.fullmatch(tensor.name)
        if not match or len(tensor.shape) != 2:
            raise InvalidModel(f"the adapter has a tensor that is not known: {tensor.name}")
        layer, own, matrix = match.groups()
        pair = found.setdefault(_module(tensor.name, family, layer, own), _Pair())
        if matrix == "a":
            pair.first = tensor.values(slice(None)).astype(np.float32)
        else:
            pair.second = tensor.values(_rows(tensor, own, family, config)).astype(np.float32)
    return {module: _complete(module, pair) for module, pair in found.items()}


def _module(name: str, family: Family, layer: str | None, own: str) -> str:
    names = family.layer if layer else {"output": "lm_head"}
    if own not in names:
        raise InvalidModel(f"adapters of {name.partition('.lora_')[0]} are not supported")
    return f"{family.layers}.{layer}.{names[own]}" if layer else names[own]


def _rows(
    tensor: GgufTensor, own: str, family: Family, config: dict[str, Any]
) -> "slice | NDArray[np.int64]":
    """Give the order of an adapted layer's rows: GGUF has those of some models in pairs."""
    if own not in _ROTATED or not family.paired:
        return slice(None)
    heads = int(config.get(_ROTATED[own]) or config["num_attention_heads"])
    if tensor.shape[0] % (2 * heads):
        raise InvalidModel(f"the adapter does not fit the model: {tensor.name} has other heads")
    pairs = np.arange(tensor.shape[0]).reshape(heads, -1, 2)
    return pairs.swapaxes(1, 2).ravel()


def _complete(module: str, pair: _Pair) -> tuple[Matrix, Matrix]:
    if pair.first is None or pair.second is None:
        raise InvalidModel(f"the adapter has only one of two matrices for {module}")
    if len(pair.first) != pair.second.shape[1]:
        raise InvalidModel(f"the adapter's two matrices for {module} do not fit together")
    return pair.first, pair.second


def _peft_config(pairs: dict[str, tuple[Matrix, Matrix]], alpha: float) -> dict[str, Any]:
    """Describe the adapter; without an alpha the matrices' product is added as it is."""
    if not pairs:
        raise InvalidModel("the adapter has no tensors")
    ranks = {module: len(first) for module, (first, _) in pairs.items()}
    largest = max(ranks.values())
    others = {re.escape(module): rank for module, rank in ranks.items() if rank != largest}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": largest,
        "lora_alpha": alpha or largest,
        "rank_pattern": others,
        "alpha_pattern": {} if alpha else others,
        "target_modules": sorted({module.rpartition(".")[2] for module in pairs}),
        "bias": "none",
    }
