"""What quantising a model takes: the work, and what the model is afterwards."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from common.errors import InvalidModel, InvalidRequest, Unsupported
from services.registry import media_types
from services.registry.base_model import Base
from services.registry.contents import Contents
from services.registry.errors import in_file
from services.registry.gguf.layers import model_digests
from services.registry.gguf.model import read_model
from services.registry.huggingface import parse_config
from services.registry.manifest import Layer
from services.registry.quantize.documents import config_document, index_document
from services.registry.quantize.file_type import FLOATS, FileType
from services.registry.quantize.job import Job, SourceFile
from services.registry.quantize.layers import choose_layers, ignored_layers
from services.registry.quantize.safetensors_file import FilePlan
from services.registry.quantize.scheme import Scheme, choose_group_size
from services.registry.weights import read_tensors, served_weights

_NOT_FLOATS = "quantization is only supported for F16, BF16 and F32 models"
_INDEX = ".safetensors.index.json"

# What only readers of weights in Mistral's own layout need.
_MISTRAL_FILES = ("params.json", "consolidated.safetensors.index.json")


@dataclass(frozen=True)
class Plan:
    """The work, and the model as it will be described."""

    base: Base
    """With the layers that it has before the work, less those that are dropped."""

    job: Job | None = None
    """None: there is nothing to do."""

    documents: Mapping[str, bytes] = field(default_factory=dict)
    """Files that are written anew, by path."""


async def make_plan(contents: Contents, base: Base, wanted: FileType, blob_service: str) -> Plan:
    """Look at a model and decide what becomes of its parts.

    Raises:
        InvalidRequest: its weights are no floating-point numbers.
        InvalidModel: it has no layers that can be quantised, or keeps them in an odd way.
        Unsupported: its weights are in neither safetensors nor GGUF files.
    """
    if base.config.file_type not in FLOATS:
        raise InvalidRequest(_NOT_FLOATS)
    if base.config.file_type == wanted:
        return Plan(base)
    if model_digests(base.layers):
        return await _plan_gguf(contents, base, wanted, blob_service)
    if base.layer(media_types.WEIGHT_FILE):
        return await _plan_safetensors(contents, base, wanted, blob_service)
    raise Unsupported("only safetensors and GGUF models can be quantized")


async def _plan_gguf(contents: Contents, base: Base, wanted: FileType, blob_service: str) -> Plan:
    # Imported late for the time that it takes; see `services.registry.gguf.tensors`.
    from services.registry.quantize.gguf_types import choose_types

    model = await read_model(contents, model_digests(base.layers))
    types = await asyncio.to_thread(choose_types, model, wanted)
    files = [layer for layer in base.layers if layer.media_type == media_types.GGUF]
    job = Job(
        blob_service=blob_service,
        files=tuple(_source(layer, "model.gguf") for layer in files),
        file_type=wanted,
        types={name: kind.name for name, kind in types.items()},
    )
    return Plan(_described(base, base.layers, wanted), job)


async def _plan_safetensors(
    contents: Contents, base: Base, wanted: FileType, blob_service: str
) -> Plan:
    # An adapter's files have names, too.
    own = [layer for layer in base.layers if layer.media_type in media_types.SERVED_FILES]
    files = {layer.name: layer for layer in own}
    config = await _read_config(contents, files)
    by_file = await read_tensors(contents, {path: it.digest for path, it in files.items()})
    weights = served_weights(by_file)
    quantizes = not wanted.is_float
    tensors = [tensor for path in weights for tensor in by_file[path]]
    layers = await asyncio.to_thread(choose_layers, tensors) if quantizes else frozenset()
    columns = {tensor.shape[-1] for tensor in tensors if tensor.name in layers}
    scheme = Scheme(choose_group_size(wanted, columns))
    quantization = scheme.document(ignored_layers(tensors, layers)) if quantizes else None
    plans = {path: FilePlan(by_file[path], wanted, layers, scheme) for path in weights}
    kept = tuple(layer for layer in base.layers if not _is_left_out(layer, by_file, weights))
    documents = await _index_documents(contents, kept, plans)
    documents["config.json"] = config_document(config, wanted, quantization)
    job = Job(
        blob_service=blob_service,
        files=tuple(_source(files[path], path) for path in weights),
        file_type=wanted,
        layers=layers,
        group_size=scheme.group_size,
    )
    described = scheme.name if quantizes else wanted
    return Plan(_described(base, kept, described), job, documents)


async def _read_config(contents: Contents, files: Mapping[str, Layer]) -> Mapping[str, Any]:
    if "config.json" not in files:
        raise InvalidModel("config.json is missing")
    with in_file("config.json"):
        config = parse_config(await contents.json(files["config.json"].digest))
    if config.quantization:
        raise InvalidRequest(_NOT_FLOATS)
    return config.document


async def _index_documents(
    contents: Contents, layers: Iterable[Layer], plans: Mapping[str, FilePlan]
) -> dict[str, bytes]:
    """Write the index of the model's own folder, where it has one."""
    documents = {}
    for layer in layers:
        if layer.name.endswith(_INDEX) and "/" not in layer.name:
            index = await contents.document(layer.digest, large=True)
            documents[layer.name] = index_document(index, plans)
    return documents


def _is_left_out(layer: Layer, weights: Mapping[str, object], served: list[str]) -> bool:
    """Find the second copy of the weights that Mistral's repositories hold, and its files."""
    if all(path in served or "/" in path for path in weights):
        return False
    is_second = layer.name in weights and "/" not in layer.name and layer.name not in served
    return is_second or layer.name in _MISTRAL_FILES


def _described(base: Base, layers: tuple[Layer, ...], file_type: str) -> Base:
    config = base.config.model_copy(update={"file_type": str(file_type)})
    gone = tuple(layer.name for layer in base.layers if layer not in layers)
    return replace(base, config=config, layers=layers, left_out=base.left_out + gone)


def _source(layer: Layer, path: str) -> SourceFile:
    return SourceFile(path=path, digest=layer.digest, size=layer.size)
