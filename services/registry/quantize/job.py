"""What the registry tells the process that quantises, and what it hears from it.

The job is one line of JSON on standard input, which then stays open for as long as the
registry wants the result; events are lines on standard output.
"""

from pydantic import BaseModel, ConfigDict

from services.registry.quantize.file_type import FileType


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class SourceFile(_Message):
    """A file of weights."""

    path: str
    digest: str
    size: int


class Job(_Message):
    """Files to quantise."""

    blob_service: str
    """Its address."""

    files: tuple[SourceFile, ...]
    file_type: FileType
    layers: frozenset[str] = frozenset()
    """Of safetensors files: the tensors that are quantised."""

    group_size: int = 0
    """Of safetensors files: weights that share a scale; 0: eight bits, and a row shares one."""

    types: dict[str, str] | None = None
    """Of GGUF files: ggml's names of the types that tensors get, by the tensors' names."""


class MadeFile(_Message):
    """A file that is stored now."""

    source: str
    """Digest of the file that it was made of."""

    digest: str
    size: int
    existed: bool


class Failure(_Message):
    """An error, as `common.errors.error_for` takes it."""

    reason: str
    message: str


class Event(_Message):
    """One of these."""

    completed: int = 0
    """Bytes of the source that are done with."""

    file: MadeFile | None = None
    failure: Failure | None = None
