"""Small models with random weights, as files."""

import json
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tests.services.registry.model_folders import config, llama

_TYPES: dict[str, Any] = {
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I8": np.int8,
}

Tensors = dict[str, NDArray[Any]]


def random_matrix(rows: int, columns: int, dtype: str = "BF16", seed: int = 0) -> NDArray[Any]:
    """Weights as models have them: small, with a few that stand out."""
    numbers = np.random.default_rng(seed).standard_t(5, (rows, columns)) * 0.02
    return numbers.astype(_TYPES[dtype])


def decoder(layers: int = 2, hidden: int = 64, inner: int = 96, dtype: str = "BF16") -> Tensors:
    """The tensors of a small Llama whose embeddings are its output, too."""
    shapes = {"model.embed_tokens": (256, hidden)}
    for number in range(layers):
        name = f"model.layers.{number}"
        shapes |= {f"{name}.self_attn.{it}_proj": (hidden, hidden) for it in "qo"}
        shapes |= {f"{name}.self_attn.{it}_proj": (hidden // 2, hidden) for it in "kv"}
        shapes |= {f"{name}.mlp.{it}_proj": (inner, hidden) for it in ("gate", "up")}
        shapes[f"{name}.mlp.down_proj"] = (hidden, inner)
    tensors = {
        f"{name}.weight": random_matrix(*shape, dtype, seed)
        for seed, (name, shape) in enumerate(shapes.items())
    }
    for name in [f"model.layers.{number}.input_layernorm" for number in range(layers)]:
        tensors[f"{name}.weight"] = np.ones(hidden + 1, _TYPES[dtype])
    return tensors


def write_safetensors(tensors: Tensors) -> bytes:
    names = {np.dtype(kind): name for name, kind in _TYPES.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, tensor in tensors.items():
        end = position + tensor.nbytes
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": tensor.shape,
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header).encode()
    data = b"".join(tensor.tobytes() for tensor in tensors.values())
    return len(text).to_bytes(8, "little") + text + data


def read_safetensors(content: bytes) -> Tensors:
    """Read a file, and hold every tensor to lie where its type may lie."""
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    header.pop("__metadata__", None)
    tensors = {}
    for name, fields in header.items():
        first, last = (begin + offset for offset in fields["data_offsets"])
        kind = np.dtype(_TYPES[fields["dtype"]])
        assert first % kind.itemsize == 0
        tensors[name] = np.frombuffer(content[first:last], kind).reshape(fields["shape"])
    return tensors


def model_files(tensors: Tensors, **fields: Any) -> dict[str, bytes]:
    """A model's files with these weights; `fields` go into its `config.json`."""
    if (embeddings := tensors.get("model.embed_tokens.weight")) is not None:
        rows, columns = embeddings.shape
        fields = {"vocab_size": rows, "hidden_size": columns, **fields}
    return llama(model__safetensors=write_safetensors(tensors), config__json=config(**fields))


def relative_error(found: NDArray[Any], expected: NDArray[Any]) -> float:
    difference = found.astype(np.float64) - expected.astype(np.float64)
    return float(np.linalg.norm(difference) / np.linalg.norm(expected.astype(np.float64)))
