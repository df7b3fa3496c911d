"""The types that a model's weights can be brought to, by the names that Ollama gives them."""

from enum import StrEnum

from common.errors import InvalidRequest


class FileType(StrEnum):
    """The type of most of a model's weights."""

    F32 = "F32"
    F16 = "F16"
    BF16 = "BF16"
    Q4_K_S = "Q4_K_S"
    Q4_K_M = "Q4_K_M"
    Q8_0 = "Q8_0"

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantised."""
        return self in FLOATS


FLOATS = frozenset({FileType.F32, FileType.F16, FileType.BF16})

_SYNONYMS = {"Q4_K": FileType.Q4_K_M}

_SUPPORTED = "F32, F16, BF16, Q4_K_S, Q4_K_M (or Q4_K), Q8_0"


def parse_file_type(text: str) -> FileType:
    """Read the name of a type, in any case.

    Raises:
        InvalidRequest: it is none that a model can be quantised to.
    """
    name = text.strip().upper()
    try:
        return _SYNONYMS.get(name) or FileType(name)
    except ValueError:
        raise InvalidRequest(
            f"unsupported quantization type {name} - supported types are {_SUPPORTED}"
        ) from None
