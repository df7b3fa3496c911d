"""The names of a model's GGUF files."""

import re
from pathlib import Path

from common.errors import InvalidModel

SINGLE_FILE = "model.gguf"
# As llama.cpp names shards.
_SHARD = re.compile(r"model-(\d{5})-of-(\d{5})\.gguf")


def is_gguf_path(path: str) -> bool:
    """Tell by its name whether a file of a model has its weights in GGUF."""
    return path == SINGLE_FILE or _SHARD.fullmatch(path) is not None


def find_files(folder: Path) -> list[Path]:
    """Find a model's GGUF file, or its shards in order.

    Raises:
        InvalidModel: there is none, or a shard is missing.
    """
    if (folder / SINGLE_FILE).exists():
        return [folder / SINGLE_FILE]
    found = [(file, _SHARD.fullmatch(file.name)) for file in sorted(folder.glob("*.gguf"))]
    shards = [(file, int(match[2])) for file, match in found if match]
    if not shards:
        raise InvalidModel("the model has no GGUF file")
    if len(shards) != shards[0][1]:
        raise InvalidModel(f"the model has {len(shards)} of {shards[0][1]} GGUF shards")
    return [file for file, _ in shards]
