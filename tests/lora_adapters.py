"""LoRA adapters for tests, in PEFT's form, and what they make of a model when merged into it."""

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_PREFIX = "base_model.model."


def make_adapter(
    folder: Path,
    base: Path,
    *,
    seed: int = 1,
    rank: int = 8,
    alpha: float = 16,
    strength: float = 0.05,
    targets: Iterable[str] = TARGETS,
    **config: object,
) -> Path:
    """Write a random adapter for a Llama-like model, strong enough to change what it says."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = tuple(targets)
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, weight in load_file(base / "model.safetensors").items():
        module = name.removesuffix(".weight")
        if weight.dim() == 2 and module.endswith(chosen):
            outputs, inputs = weight.shape
            shapes = {"lora_A": (rank, inputs), "lora_B": (outputs, rank)}
            for matrix, shape in shapes.items():
                values = torch.randn(shape, generator=random) * strength
                tensors[f"{_PREFIX}{module}.{matrix}.weight"] = values
    save_file(tensors, folder / "adapter_model.safetensors")
    document = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": alpha,
        "target_modules": list(chosen),
        "bias": "none",
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps(document))
    return folder


def read_adapter(folder: Path) -> tuple[dict[str, tuple[torch.Tensor, torch.Tensor]], float]:
    """Give an adapter's matrices A and B by module, and the factor of their product."""
    config = json.loads((folder / "adapter_config.json").read_bytes())
    tensors = load_file(folder / "adapter_model.safetensors")
    pairs = {}
    for name, first in tensors.items():
        if found := re.fullmatch(re.escape(_PREFIX) + r"(.+)\.lora_A\.weight", name):
            pairs[found[1]] = (first, tensors[name.replace("lora_A", "lora_B")])
    return pairs, config["lora_alpha"] / config["r"]


def merge_adapter(folder: Path, base: Path, adapter: Path) -> Path:
    """Write the model that has the adapter's products added to its weights, in float32."""
    shutil.copytree(base, folder)
    pairs, factor = read_adapter(adapter)
    weights: Mapping[str, torch.Tensor] = load_file(base / "model.safetensors")
    merged = {name: weight.float() for name, weight in weights.items()}
    for module, (first, second) in pairs.items():
        merged[f"{module}.weight"] += factor * second.float() @ first.float()
    save_file(merged, folder / "model.safetensors", {"format": "pt"})
    return as_float32(folder)


def as_float32(folder: Path) -> Path:
    """Make a model be computed in float32, so that rounding decides no token."""
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float32"}))
    return folder
