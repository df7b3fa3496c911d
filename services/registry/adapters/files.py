"""The files of an adapter: PEFT's two, or one in GGUF."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TypeVar

from common.errors import InvalidModel

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
GGUF = "adapter.gguf"

_OTHER_FORMS = {
    "adapter_model.bin": "PEFT writes safetensors with safe_serialization=True",
    "adapter_model.pt": "PEFT writes safetensors with safe_serialization=True",
    "adapters.safetensors": "MLX's form of adapters is not read, only PEFT's and GGUF",
}

Place = TypeVar("Place")


def choose_files(files: Mapping[str, Place]) -> dict[str, Place]:
    """Choose what makes the adapter, under the names that PEFT gives, or as `adapter.gguf`.

    What else lies in the folder that a training leaves is no part of it. Whether a file is
    GGUF only its content tells.

    Raises:
        InvalidModel: the files make no adapter, or several.
    """
    if CONFIG in files and WEIGHTS in files:
        return {CONFIG: files[CONFIG], WEIGHTS: files[WEIGHTS]}
    for name, reason in _OTHER_FORMS.items():
        if name in files:
            raise InvalidModel(f"{name} cannot be used: {reason}")
    suffixes = {path: PurePosixPath(path.lower()).suffix for path in files}
    if ".safetensors" in suffixes.values() or CONFIG in files:
        missing = CONFIG if CONFIG not in files else WEIGHTS
        raise InvalidModel(f"{missing} is missing: an adapter has {CONFIG} and {WEIGHTS}")
    named = [path for path, suffix in suffixes.items() if suffix == ".gguf"]
    candidates = named or list(files)
    if len(candidates) != 1:
        raise InvalidModel("only one adapter is currently supported")
    return {GGUF: files[candidates[0]]}


def name_by_content(start: bytes) -> str:
    """Name a file that came without a name by its first bytes; empty: it is no adapter's."""
    if start.startswith(b"GGUF"):
        return GGUF
    if start[8:9] == b"{":
        return WEIGHTS
    return CONFIG if start.lstrip().startswith(b"{") else ""
