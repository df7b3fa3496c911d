"""How compressed-tensors stores a quantised layer, and how `config.json` says so.

The names, shapes and fields are those that llm-compressor writes and vLLM reads
(github.com/vllm-project/compressed-tensors).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from services.registry.quantize.file_type import FileType
from services.registry.safetensors import Tensor

_VERSION = "0.17.0"  # of compressed-tensors, whose format this is


@dataclass(frozen=True)
class Scheme:
    """Four bits with a scale for each group of weights, or eight with one for each row.

    With eight, the engine rounds activations to eight bits, too, each token with its own
    scale: its only way to compute with such weights on a CPU, and the fastest on a GPU.
    """

    group_size: int
    """Weights that share a scale; 0: eight bits, and a row shares one."""

    @property
    def name(self) -> str:
        """Bits of weights and activations."""
        return "W4A16" if self.group_size else "W8A8"

    def outputs(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Name the tensors that a layer's `weight` becomes, in the order of the file."""
        layer = tensor.name.removesuffix(".weight")
        rows, columns = tensor.shape
        if not self.group_size:
            return (
                Tensor(f"{layer}.weight", "I8", (rows, columns)),
                Tensor(f"{layer}.weight_scale", tensor.dtype, (rows, 1)),
            )
        return (
            Tensor(f"{layer}.weight_packed", "I32", (rows, columns // 8)),
            Tensor(f"{layer}.weight_scale", tensor.dtype, (rows, columns // self.group_size)),
            Tensor(f"{layer}.weight_shape", "I64", (2,)),
        )

    def document(self, ignored: Collection[str]) -> dict[str, Any]:
        """Give the `quantization_config`; `ignored` are the layers left as they are."""
        layout = "pack-quantized" if self.group_size else "int-quantized"
        activations = None if self.group_size else _arguments(8, "token", dynamic=True)
        weights = (
            _arguments(4, "group", group_size=self.group_size)
            if self.group_size
            else _arguments(8, "channel")
        )
        group = {
            "format": layout,
            "input_activations": activations,
            "output_activations": None,
            "targets": ["Linear"],
            "weights": weights,
        }
        return {
            "config_groups": {"group_0": group},
            "format": layout,
            "global_compression_ratio": None,
            "ignore": list(ignored),
            "kv_cache_scheme": None,
            "quant_method": "compressed-tensors",
            "quantization_status": "compressed",
            "version": _VERSION,
        }


def choose_group_size(wanted: FileType, columns: Collection[int]) -> int:
    """Choose how many weights share a scale, for a model with rows of these lengths.

    Q4_K_M has groups of 32, as Q4_K has in ggml; the smaller Q4_K_S of 128, where all rows
    divide into such. 0 stands for eight bits.
    """
    if wanted is FileType.Q8_0:
        return 0
    fits = all(length % 128 == 0 for length in columns)
    return 128 if wanted is FileType.Q4_K_S and fits else 32


def _arguments(
    bits: int, strategy: str, *, group_size: int | None = None, dynamic: bool = False
) -> dict[str, Any]:
    return {
        "actorder": None,
        "block_structure": None,
        "dynamic": dynamic,
        "group_size": group_size,
        "num_bits": bits,
        "observer": None if dynamic else "mse",
        "observer_kwargs": {},
        "strategy": strategy,
        "symmetric": True,
        "type": "int",
    }
