"""Which files of a folder belong to a model with safetensors weights, and what they are."""

from enum import Enum, auto
from pathlib import PurePosixPath

_DOCUMENTS = frozenset({".md", ".pdf", ".rst"})
_DOCUMENT_NAMES = ("license", "notice", "copying", "usage_policy", "use_policy", "readme")
_AUXILIARY = frozenset(
    {".bpe", ".jinja", ".model", ".spm", ".tiktoken", ".txt", ".vocab", ".yaml", ".yml"}
)


class FileRole(Enum):
    """What a file is to a model."""

    WEIGHTS = auto()
    JSON = auto()
    """Configurations, vocabularies, indices."""
    CODE = auto()
    AUXILIARY = auto()
    """What tokenizers read besides, and chat templates."""
    DOCUMENT = auto()


def file_role(path: str) -> FileRole | None:
    """Tell by its path within the folder what a file is; None: it is no part of the model.

    Weights in other formats are none, nor is anything hidden.
    """
    name = PurePosixPath(path.lower())
    if name.suffix == ".gguf" or any(part.startswith(".") for part in name.parts):
        return None
    if name.suffix == ".safetensors":
        return FileRole.WEIGHTS
    if name.suffix == ".json":
        return FileRole.JSON
    if name.suffix == ".py":
        return FileRole.CODE
    if name.suffix in _DOCUMENTS or name.name.startswith(_DOCUMENT_NAMES):
        return FileRole.DOCUMENT
    return FileRole.AUXILIARY if name.suffix in _AUXILIARY else None
