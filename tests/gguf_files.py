"""GGUF files for tests, made from safetensors folders as llama.cpp's converter makes them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray
from safetensors import safe_open

from tests.ggml_quantizer import quantize
from tests.gguf_metadata import add_hyperparameters, add_special_tokens, add_tokenizer

_ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "mixtral": gguf.MODEL_ARCH.LLAMA,
    "granite": gguf.MODEL_ARCH.GRANITE,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "qwen3_moe": gguf.MODEL_ARCH.QWEN3MOE,
    "gemma": gguf.MODEL_ARCH.GEMMA,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "phi3": gguf.MODEL_ARCH.PHI3,
    "olmo2": gguf.MODEL_ARCH.OLMO2,
    "cohere": gguf.MODEL_ARCH.COMMAND_R,
    "starcoder2": gguf.MODEL_ARCH.STARCODER2,
    "bert": gguf.MODEL_ARCH.BERT,
    "nomic_bert": gguf.MODEL_ARCH.NOMIC_BERT,
}
# Whose rotation llama.cpp computes on pairs that lie beside each other.
_PAIRED = frozenset({"llama", "mistral", "mixtral", "granite"})
_EXPERT = re.compile(r"(.+\.experts)\.(\d+)\.(\w+)\.weight")


def write_gguf(
    source: Path,
    target: Path,
    kind: str = "F16",
    *,
    shard_bytes: int = 0,
    omit: frozenset[str] = frozenset(),
) -> Path:
    """Write the model in the folder `source` as one GGUF file, or as shards of bounded size.

    Args:
        source: a Hugging Face folder with `config.json`, safetensors and a tokenizer.
        target: the file; shards get llama.cpp's names beside it.
        kind: ggml's name of the matrices' type, such as "F16", "Q8_0" or "Q4_K"; vectors
            are F32. A matrix whose rows do not divide into blocks is F16.
        shard_bytes: the bytes of a shard's tensors; 0 writes one file.
        omit: metadata keys, and names of tensors, to leave out.
    """
    config = json.loads((source / "config.json").read_bytes())
    architecture = _ARCHITECTURES[config["model_type"]]
    writer = _Writer(
        target, gguf.MODEL_ARCH_NAMES[architecture], split_max_size=shard_bytes, omit=omit
    )
    quantization = GGMLQuantizationType[kind]
    writer.add_name(source.name)
    writer.add_file_type(_file_type(kind))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_hyperparameters(writer, config)
    add_tokenizer(writer, source, config)
    add_special_tokens(writer, source, config)
    names = gguf.get_tensor_name_map(architecture, config["num_hidden_layers"])
    for name, weights in _tensors(source, config):
        stem, _, suffix = name.rpartition(".")
        new = stem if stem.startswith("rope_") else names.get_name(stem)
        if new is None:
            raise ValueError(f"{name} has no name in GGUF")
        _add_tensor(writer, f"{new}.{suffix}", weights, quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


class _Writer(GGUFWriter):
    """Leaves out what a test wants to be missing."""

    def __init__(
        self, path: Path, architecture: str, *, split_max_size: int, omit: frozenset[str]
    ) -> None:
        self._omit = omit
        super().__init__(path, architecture, split_max_size=split_max_size)

    def add_key_value(self, key: str, val: Any, vtype: Any, sub_type: Any = None) -> None:
        if key not in self._omit:
            super().add_key_value(key, val, vtype, sub_type)

    def add_tensor(self, name: str, *arguments: Any, **named: Any) -> None:
        if name not in self._omit:
            super().add_tensor(name, *arguments, **named)


def _file_type(kind: str) -> int:
    names = {"F32": "ALL_F32", "Q4_K": "MOSTLY_Q4_K_M", "Q5_K": "MOSTLY_Q5_K_M"}
    name = names.get(kind, f"MOSTLY_{kind}")
    return int(gguf.LlamaFileType.__members__.get(name, gguf.LlamaFileType.GUESSED))


def _tensors(source: Path, config: dict[str, Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Give the tensors, with the changes that llama.cpp's converter makes for each family."""
    experts: dict[str, dict[int, NDArray[np.float32]]] = {}
    yield from _rotation_factors(config)
    for file in sorted(source.glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                if _is_dropped(name, config):
                    continue
                weights = _changed(name, opened.get_tensor(name).float(), config).numpy()
                if match := _EXPERT.fullmatch(name):
                    experts.setdefault(f"{match[1]}.{match[3]}.weight", {})[int(match[2])] = weights
                else:
                    yield name, weights
    for name, matrices in experts.items():
        yield name, np.stack([matrices[number] for number in sorted(matrices)])


def _rotation_factors(config: dict[str, Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    rope = config.get("rope_parameters") or {}
    if (frequencies := _llama3_frequencies(config)) is not None:
        yield "rope_freqs.weight", frequencies
    for name in ("long", "short"):
        if f"{name}_factor" in rope:
            factors = np.array(rope[f"{name}_factor"], dtype=np.float32)
            yield f"rope_factors_{name}.weight", factors


def _is_dropped(name: str, config: dict[str, Any]) -> bool:
    if config["model_type"] == "bert":
        return name.startswith("pooler.") or name.endswith("position_ids")
    return name == "lm_head.weight" and bool(config.get("tie_word_embeddings"))


def _changed(name: str, weights: torch.Tensor, config: dict[str, Any]) -> torch.Tensor:
    family = config["model_type"]
    if family in _PAIRED:
        heads = config["num_attention_heads"]
        if ".q_proj." in name:
            return _interleaved(weights, heads)
        if ".k_proj." in name:
            return _interleaved(weights, config.get("num_key_value_heads") or heads)
    if family in ("gemma", "gemma2", "gemma3_text") and name.endswith("norm.weight"):
        return weights + 1
    return weights


def _interleaved(weights: torch.Tensor, heads: int) -> torch.Tensor:
    """Order rows as ggml's rotation takes them: pairs beside each other."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def _llama3_frequencies(config: dict[str, Any]) -> NDArray[np.float32] | None:
    """Give the factors that stand for Llama 3's scaling of rotary frequencies."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type") != "llama3":
        return None
    base = rope.get("rope_theta") or config.get("rope_theta", 10000.0)
    size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    frequencies = 1.0 / (base ** (np.arange(0, size, 2, dtype=np.float32) / size))
    lengths = 2 * np.pi / frequencies
    original, factor = rope["original_max_position_embeddings"], rope["factor"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = np.clip((original / lengths - low) / (high - low), 0, 1)
    factors: NDArray[np.float32] = (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
    return factors


def _add_tensor(
    writer: GGUFWriter, name: str, weights: NDArray[np.float32], kind: GGMLQuantizationType
) -> None:
    if weights.ndim == 1 or kind is GGMLQuantizationType.F32 or name.startswith("rope_"):
        writer.add_tensor(name, np.ascontiguousarray(weights, dtype=np.float32))
        return
    if weights.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
        kind = GGMLQuantizationType.F16
    writer.add_tensor(name, quantize(weights, kind), raw_dtype=kind)
