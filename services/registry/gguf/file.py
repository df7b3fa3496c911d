"""One GGUF file, as far as it is worth keeping in memory."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import InvalidModel
from services.registry.blob_client import BlobClient
from services.registry.capabilities import FILL_IN_THE_MIDDLE
from services.registry.chat_template import (
    DEFAULT,
    ChatTemplate,
    check_length,
    parse_chat_template,
)
from services.registry.gguf.reading import read_header
from services.registry.gguf.tensors import Tensor
from services.registry.gguf.values import Array, Value

CHAT_TEMPLATE = "tokenizer.chat_template"

_TOKENS = "tokenizer.ggml.tokens"
_TENSOR_SIZE = 512  # bytes of memory
_ENTRY_SIZE = 256


@dataclass(frozen=True)
class GgufFile:
    """What a file's header says."""

    metadata: Mapping[str, Value]
    """Of arrays, only the lengths."""

    tensors: tuple[Tensor, ...]
    marks: frozenset[str]
    """Those of its tokens that serve to fill in the middle."""

    template: ChatTemplate | None
    template_problem: str
    """Why the chat template cannot be used; empty: it can, or there is none."""

    def text(self, key: str) -> str:
        """Give a text of the metadata; empty when there is none."""
        found = self.metadata.get(key)
        return found if isinstance(found, str) else ""

    def count(self, key: str) -> int:
        """Give a number of the metadata that is 0 or more; 0 when there is none."""
        found = self.metadata.get(key)
        is_count = isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**63
        return int(found) if is_count and isinstance(found, int) else 0

    @property
    def architecture(self) -> str:
        """The kind of model, such as "llama"; empty when it is not said."""
        return self.text("general.architecture")

    @property
    def parameter_count(self) -> int:
        """How many numbers its tensors hold."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def is_adapter(self) -> bool:
        """Whether it is a LoRA adapter."""
        return self.text("general.type") == "adapter"

    @property
    def is_projector(self) -> bool:
        """Whether it is the part of another model that makes tokens of images or sound."""
        if self.text("general.type") in ("projector", "mmproj"):
            return True
        architecture = self.architecture
        if not architecture or self.count(f"{architecture}.block_count"):
            return False
        return architecture == "clip" or self.count(f"{architecture}.vision.block_count") > 0

    @property
    def memory(self) -> int:
        """About how many bytes it takes in memory."""
        texts = sum(len(value) for value in self.metadata.values() if isinstance(value, str))
        return texts + len(self.metadata) * _ENTRY_SIZE + len(self.tensors) * _TENSOR_SIZE


async def read_file(blobs: BlobClient, digest: str) -> GgufFile:
    """Read the header of a blob.

    Raises:
        BlobNotFound: it is not stored.
        InvalidModel: it is no GGUF file that can be used.
    """
    header = await read_header(blobs, digest, lambda key: key == _TOKENS)
    tokens = header.metadata.get(_TOKENS)
    values = tokens.values if isinstance(tokens, Array) else None
    metadata = {
        key: Array(value.length, None) if isinstance(value, Array) else value
        for key, value in header.metadata.items()
    }
    template, problem = await asyncio.to_thread(_read_template, metadata)
    return GgufFile(
        metadata, header.tensors, FILL_IN_THE_MIDDLE.intersection(values or ()), template, problem
    )


def _read_template(metadata: Mapping[str, Value]) -> tuple[ChatTemplate | None, str]:
    text = metadata.get(CHAT_TEMPLATE)
    if not isinstance(text, str) or not text:
        return None, ""
    try:
        check_length({DEFAULT: text})
        return parse_chat_template(text), ""
    except InvalidModel as error:
        return None, error.message
