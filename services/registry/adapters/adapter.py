"""What an adapter changes: which layers, by matrices of which shape."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from common.errors import InvalidModel
from services.registry.adapters.files import CONFIG, GGUF, WEIGHTS
from services.registry.adapters.gguf import read_gguf
from services.registry.adapters.peft import PeftConfig, check_config, read_peft
from services.registry.adapters.shapes import AdaptedLayer, pair_up
from services.registry.contents import Contents
from services.registry.errors import in_file
from services.registry.gguf.file import GgufFile
from services.registry.safetensors import Tensor

MAX_RANK = 512  # of vLLM 0.32


@dataclass(frozen=True)
class Adapter:
    """An adapter as its files describe it."""

    rank: int
    """The largest that it has, or says it has."""

    layers: tuple[AdaptedLayer, ...] = field(repr=False)
    architecture: str = ""
    """GGUF's name of the architecture that it is for; empty: layers have the names of
    `transformers`."""


async def read_adapter(contents: Contents, files: Mapping[str, str]) -> Adapter:
    """Read an adapter, given the digests of its files by their names.

    Raises:
        BlobNotFound: a file is not stored.
        InvalidModel: it is damaged, or of a kind that no engine applies.
    """
    if GGUF in files:
        with in_file(GGUF):
            adapter = await asyncio.to_thread(_of_gguf, await contents.gguf(files[GGUF]))
    else:
        with in_file(CONFIG):
            config = check_config(await contents.document(files[CONFIG]))
        with in_file(WEIGHTS):
            tensors = await contents.tensors(files[WEIGHTS])
            adapter = await asyncio.to_thread(_of_peft, config, tensors)
    if adapter.rank > MAX_RANK:
        raise InvalidModel(f"the adapter's rank is {adapter.rank}; at most {MAX_RANK} is supported")
    return adapter


def _of_gguf(file: GgufFile) -> Adapter:
    architecture, matrices = read_gguf(file)
    layers = pair_up(matrices)
    return Adapter(max(layer.rank for layer in layers), layers, architecture)


def _of_peft(config: PeftConfig, tensors: Iterable[Tensor]) -> Adapter:
    layers = pair_up(read_peft(tensors))
    for layer in layers:
        config.check_rank(layer.name, layer.rank)
    return Adapter(max(config.largest_rank, *(layer.rank for layer in layers)), layers)
