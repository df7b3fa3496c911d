"""Writing safetensors files piece by piece, so that no tensor has to be in memory whole.

The format: github.com/huggingface/safetensors, README.md, "Format".
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from workers.gguf.weights import Weight

_NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_ALIGNMENT = 8


def write_weights(
    folder: Path,
    weights: Sequence[Weight],
    dtype: str,
    shard_size: int,
    progress: Callable[[int], None],
) -> None:
    """Write a model's weights, in shards of about `shard_size` bytes with an index beside them.

    `progress` is told of each piece's bytes.
    """
    shards = _divide(weights, dtype, shard_size)
    if len(shards) == 1:
        _write_file(folder / "model.safetensors", shards[0], dtype, progress)
        return
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        _write_file(folder / name, shard, dtype, progress)
        places |= dict.fromkeys((weight.name for weight in shard), name)
    total = sum(weight.size(dtype) for weight in weights)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def _divide(weights: Sequence[Weight], dtype: str, shard_size: int) -> list[list[Weight]]:
    shards: list[list[Weight]] = [[]]
    used = 0
    for weight in weights:
        size = weight.size(dtype)
        if shards[-1] and used + size > shard_size:
            shards.append([])
            used = 0
        shards[-1].append(weight)
        used += size
    return shards


def _write_file(
    path: Path, weights: Sequence[Weight], dtype: str, progress: Callable[[int], None]
) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for weight in weights:
        start, end = end, end + weight.size(dtype)
        header[weight.name] = {
            "dtype": _NAMES[dtype],
            "shape": weight.shape,
            "data_offsets": [start, end],
        }
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for weight in weights:
            for piece in weight.pieces(dtype):
                file.write(piece.view("u1").data)
                progress(piece.nbytes)
