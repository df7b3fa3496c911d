"""Adapters in GGUF, as llama.cpp's convert_lora_to_gguf.py makes them."""

import re
from collections.abc import Iterator

from common.errors import InvalidModel
from services.registry.adapters.shapes import Matrix
from services.registry.gguf.file import GgufFile

_NAME = re.compile(r"(.+)\.weight\.lora_([ab])")


def read_gguf(file: GgufFile) -> tuple[str, Iterator[Matrix]]:
    """Give the architecture that an adapter is for, and its matrices.

    Raises:
        InvalidModel: it is no adapter, or of a kind that no engine applies.
    """
    # Imported late for the time that it takes; see `services.registry.gguf.tensors`.
    from gguf.constants import Keys

    if not file.is_adapter:
        raise InvalidModel("a whole model was given as an adapter")
    kind = file.text(Keys.Adapter.TYPE)
    if kind != "lora":
        raise InvalidModel(f"only LoRA adapters are supported, not {kind or 'others'}")
    if file.metadata.get(Keys.Adapter.ALORA_INVOCATION_TOKENS):
        raise InvalidModel("activated LoRA is not supported")
    return file.architecture, _matrices(file)


def _matrices(file: GgufFile) -> Iterator[Matrix]:
    for tensor in file.tensors:
        match = _NAME.fullmatch(tensor.name)
        if not match or len(tensor.shape) != 2:
            raise InvalidModel(f"{tensor.name} is not supported: it is no matrix of an adapter")
        columns, rows = tensor.shape
        yield Matrix(match[1], match[2] == "b", rows, columns)
