"""GGUF adapters for tests, made from PEFT's files as llama.cpp's converter makes them."""

from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from tests.lora_adapters import read_adapter

_LAYERS = 256  # more than any model of the tests has


def make_gguf_adapter(
    path: Path, adapter: Path, *, heads: int, key_heads: int, architecture: str = "llama"
) -> Path:
    """Write the GGUF form of an adapter for a model with so many heads of queries and of keys."""
    pairs, factor = read_adapter(adapter)
    rank = max(first.shape[0] for first, _ in pairs.values())
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, _LAYERS)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, factor * rank)
    for module, (first, second) in pairs.items():
        name = names.get_name(module)
        assert name
        rows = second.float().numpy()
        if module.endswith("q_proj"):
            rows = _in_pairs(rows, heads)
        elif module.endswith("k_proj"):
            rows = _in_pairs(rows, key_heads)
        writer.add_tensor(f"{name}.weight.lora_a", first.float().numpy())
        writer.add_tensor(f"{name}.weight.lora_b", np.ascontiguousarray(rows))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _in_pairs(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Bring what the rotation of Llama's queries and keys combines beside each other."""
    shaped = rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1])
    return shaped.swapaxes(1, 2).reshape(rows.shape)
