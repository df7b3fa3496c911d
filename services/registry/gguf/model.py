"""A model in GGUF: one file, or all the shards of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from common.errors import InvalidModel
from services.registry.capabilities import infer_gguf_capabilities
from services.registry.contents import Contents
from services.registry.gguf.file import CHAT_TEMPLATE, GgufFile
from services.registry.gguf.required import check_tensors, check_vocabulary
from services.registry.gguf.tensors import Tensor, main_type
from services.registry.gguf.values import Array, Value
from services.registry.model_config import ModelConfig
from services.registry.parameter_size import format_parameter_size

FORMAT = "gguf"

_HIDDEN = "general.name"  # as in Ollama: it is not the model's name


@dataclass(frozen=True)
class GgufModel:
    """Everything about a model that its files tell."""

    files: tuple[GgufFile, ...]
    """In the order of the shards; the first has the metadata."""

    @property
    def architecture(self) -> str:
        """The kind of model, such as "llama"."""
        return self.files[0].architecture

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Those of all shards."""
        return tuple(tensor for file in self.files for tensor in file.tensors)

    @property
    def parameter_count(self) -> int:
        """How many numbers its tensors hold."""
        return sum(file.parameter_count for file in self.files)

    @property
    def file_type(self) -> str:
        """The type of the weights as the file states it, else that of most of them."""
        stated = self.files[0].metadata.get("general.file_type")
        known = _file_types().get(stated) if isinstance(stated, int) else None
        return known or main_type(self.tensors)

    @property
    def chat_template(self) -> str:
        """The Jinja template that renders its prompts; empty when there is none."""
        return self.files[0].text(CHAT_TEMPLATE)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What it can do, by its own chat template.

        Images are not among it: no engine here takes them together with GGUF weights.
        """
        first = self.files[0]
        return infer_gguf_capabilities(
            self.architecture,
            pools=f"{self.architecture}.pooling_type" in first.metadata,
            chat_templates=[first.template] if first.template else [],
            tokens=first.marks,
        )

    def summary(self) -> ModelConfig:
        """Give the config blob of the model's manifest."""
        first = self.files[0]
        return ModelConfig(
            model_format=FORMAT,
            model_family=self.architecture,
            model_families=(self.architecture,),
            model_type=format_parameter_size(self.parameter_count),
            file_type=self.file_type,
            capabilities=self.capabilities,
            context_length=first.count(f"{self.architecture}.context_length"),
            embedding_length=first.count(f"{self.architecture}.embedding_length"),
        )


def join_files(files: Mapping[str, GgufFile]) -> tuple[str, ...]:
    """Put the files of one model, given by what to call them, into the order of its shards.

    Raises:
        InvalidModel: they are several models, or not all of one.
    """
    if len(files) == 1:
        (name,) = files
        if (count := files[name].count("split.count")) > 1:
            raise InvalidModel(f"{name} is one of {count} shards; the others are missing")
        return (name,)
    shards: dict[int, str] = {}
    for name, file in files.items():
        if file.count("split.count") != len(files):
            raise _not_one_model(files)
        shards[file.count("split.no")] = name
    if sorted(shards) != list(range(len(files))):
        raise _not_one_model(files)
    return tuple(shards[number] for number in sorted(shards))


def check_model(model: GgufModel) -> None:
    """Hold files to make a model together.

    Raises:
        InvalidModel: something that every model has is missing, a tensor is there twice, or
            the chat template cannot be used.
    """
    first = model.files[0]
    if not first.architecture:
        raise InvalidModel('"general.architecture" is missing')
    tensors = model.tensors
    if not tensors:
        raise InvalidModel("it holds no tensors")
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise InvalidModel("two shards hold the same tensor")
    if (expected := first.count("split.tensors.count")) and expected != len(tensors):
        raise InvalidModel(f"{expected} tensors expected, {len(tensors)} found")
    check_vocabulary(first, tensors)
    check_tensors(first, tensors)
    if first.template_problem:
        raise InvalidModel(first.template_problem)


def _not_one_model(files: Mapping[str, GgufFile]) -> InvalidModel:
    names = ", ".join(sorted(files))
    return InvalidModel(f"a model is one GGUF file, or all its shards; given were {names}")


async def read_model(contents: Contents, digests: Sequence[str]) -> GgufModel:
    """Read a model's files, given in the order of its shards.

    Raises:
        BlobNotFound: one is not stored.
        InvalidModel: one is damaged.
    """
    return GgufModel(tuple([await contents.gguf(digest) for digest in digests]))


async def read_model_info(
    contents: Contents, digest: str, parameter_count: int, *, verbose: bool
) -> dict[str, Any]:
    """Give the `model_info` of Ollama's API, of a file; what is long is null unless verbose."""
    metadata = (await contents.gguf(digest)).metadata
    if verbose:
        metadata = await contents.gguf_metadata(digest)
    shown = {
        key: _shown(value)
        for key, value in metadata.items()
        if key != _HIDDEN and (verbose or not key.startswith(CHAT_TEMPLATE))
    }
    return dict(sorted({**shown, "general.parameter_count": parameter_count}.items()))


def _shown(value: Value) -> Any:
    return value.values if isinstance(value, Array) else value


@cache
def _file_types() -> Mapping[int, str]:
    """Name the types that a file can say its weights are of, by their numbers."""
    # Imported late for the time that it takes; see `services.registry.gguf.tensors`.
    from gguf.constants import LlamaFileType

    return {
        int(kind): kind.name.removeprefix("MOSTLY_").removeprefix("ALL_")
        for kind in LlamaFileType
        if kind is not LlamaFileType.GUESSED
    }
