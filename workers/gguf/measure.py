"""What becomes of a GGUF model, known before it is converted."""

from dataclasses import dataclass
from pathlib import Path

from workers.gguf.families import family_of
from workers.gguf.native import is_native
from workers.gguf.paths import find_files
from workers.gguf.plugin import has_plugin
from workers.gguf.source import GgufSource
from workers.gguf.weights import list_weights, stored_type


@dataclass(frozen=True)
class Measure:
    """The size of a conversion, and whether it is needed."""

    size: int
    """Bytes of the converted weights."""

    native: bool
    """A GPU serves the file as it is."""


def measure(source: Path) -> Measure:
    """Tell how large the GGUF model in a folder becomes.

    Raises:
        InvalidModel: the files are damaged, or of a kind that is not supported.
    """
    opened = GgufSource(find_files(source))
    family = family_of(opened)
    parts = list_weights(opened, family, family.settings(opened))
    dtype = stored_type(opened)
    return Measure(sum(part.size(dtype) for part in parts), has_plugin() and is_native(opened))
