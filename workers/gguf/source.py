"""A model in one GGUF file, or in the shards of one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import InvalidModel
from workers.gguf.reader import GgufFile, GgufTensor

_MOST = 2**31


class Metadata:
    """The keys of a GGUF file; those of its architecture are asked for without the prefix."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        self._keys = keys
        architecture = keys.get("general.architecture")
        if not isinstance(architecture, str):
            raise InvalidModel("the GGUF file does not state its architecture")
        self.architecture = architecture
        self.asked: set[str] = set()
        """Keys of the architecture that somebody asked for."""

    def find(self, key: str) -> Any:
        """Give a key's value; None without it."""
        return self._keys.get(key)

    def own(self, key: str) -> Any:
        """Give the value of a key of the architecture; None without it."""
        self.asked.add(key)
        return self._keys.get(f"{self.architecture}.{key}")

    def integer(self, key: str) -> int:
        """Give a whole number of the architecture's, which counts something.

        Raises:
            InvalidModel: it is missing, counts nothing, or differs from layer to layer.
        """
        number = self._number(key)
        if not 0 < number < _MOST:  # nor is it NaN
            raise InvalidModel(f"{self.architecture}.{key} cannot be {number}")
        return int(number)

    def real(self, key: str) -> float:
        """Give a number of the architecture's.

        Raises:
            InvalidModel: it is missing, or differs from layer to layer.
        """
        return float(self._number(key))

    def _number(self, key: str) -> float:
        value = self.own(key)
        if isinstance(value, list) and len(set(value)) == 1:
            value = value[0]
        if isinstance(value, list):
            raise InvalidModel(f"{self.architecture}.{key} differs from layer to layer")
        if not isinstance(value, int | float):
            raise InvalidModel(f"the GGUF file has no number {self.architecture}.{key}")
        return value


class GgufSource:
    """A GGUF model that is open for reading."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Open a model's file, or all its shards in order.

        Raises:
            InvalidModel: one is not GGUF, is cut off, or they do not fit together.
        """
        opened = [GgufFile(file) for file in files]
        self.files = len(opened)
        self.metadata = Metadata(opened[0].metadata)
        self.tensors: dict[str, GgufTensor] = {}
        for tensor in (tensor for file in opened for tensor in file.tensors):
            if tensor.name in self.tensors:
                raise InvalidModel(f"the GGUF file has the tensor {tensor.name} twice")
            self.tensors[tensor.name] = tensor
        expected = self.metadata.find("split.tensors.count")
        if expected is not None and int(expected) != len(self.tensors):
            raise InvalidModel(
                f"the GGUF shards have {len(self.tensors)} tensors instead of {expected}"
            )
