"""Whether an adapter is for a model: its layers are there, and have the right shapes."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from common.errors import InvalidModel
from services.registry.adapters.adapter import Adapter
from services.registry.adapters.shapes import AdaptedLayer
from services.registry.safetensors import Tensor

if TYPE_CHECKING:
    from gguf import TensorNameMap

Shape = tuple[int, int]
"""Outputs and inputs."""

# Types that hold one number an element; others are packed, and shapes say nothing.
_PLAIN = frozenset({"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2", "I8"})
_MAX_LAYERS = 512
_EMBEDDINGS = ("embed_tokens", "token_embd")
_HEADS = ("lm_head", "output")


def shapes_of_files(tensors: Iterable[Tensor]) -> dict[str, Shape | None]:
    """Give the shapes of a safetensors model's layers; None: packed, so unknown."""
    shapes: dict[str, Shape | None] = {}
    for tensor in tensors:
        layer, _, suffix = tensor.name.rpartition(".")
        plain = suffix == "weight" and tensor.dtype in _PLAIN and len(tensor.shape) == 2
        if plain:
            shapes[layer] = (tensor.shape[0], tensor.shape[1])
        else:
            shapes.setdefault(layer, None)
    return shapes


def check_fit(adapter: Adapter, shapes: Mapping[str, Shape | None], architecture: str) -> None:
    """Hold an adapter to a model's layers; blocks.

    Args:
        adapter: what is to be added.
        shapes: of the model's layers, by their names.
        architecture: GGUF's name of the model's, if the names are GGUF's; else empty.

    Raises:
        InvalidModel: it is for another model.
    """
    if adapter.architecture and architecture and adapter.architecture != architecture:
        raise InvalidModel(
            f"the adapter is for {adapter.architecture} models, and this one is {architecture}"
        )
    if adapter.architecture and not architecture:
        names = {_gguf_name(adapter.architecture, name): name for name in shapes}
        find: Callable[[str], str | None] = names.get
    elif architecture and not adapter.architecture:
        find = partial(_gguf_name, architecture)
    else:
        find = str
    for layer in adapter.layers:
        own = _find(shapes, find(layer.name) or "")
        if own is None:
            raise InvalidModel(f"the adapter does not fit the model, which has no {layer.name}")
        _check_shape(layer, shapes[own])


def _find(shapes: Mapping[str, Shape | None], name: str) -> str | None:
    """Find a layer; the last one may be the first one's weights once more."""
    if name in shapes:
        return name
    if name.endswith(_HEADS):
        found = (layer for layer in shapes if layer.endswith(_EMBEDDINGS))
    else:
        # What a model's parts are called differs between files and versions of `transformers`.
        tail = name[name.find("layers.") :] if "layers." in name else ""
        found = (layer for layer in shapes if tail and layer.endswith(f".{tail}"))
    return next(found, None)


def _check_shape(layer: AdaptedLayer, shape: Shape | None) -> None:
    if shape is None:
        return
    # An embedding's matrices are transposed: they take a token and give its numbers.
    expected = shape[::-1] if layer.name.endswith(_EMBEDDINGS) else shape
    if (layer.outputs, layer.inputs) != expected:
        raise InvalidModel(
            f"the adapter does not fit the model: it is for {layer.inputs} inputs and "
            f"{layer.outputs} outputs of {layer.name}, which has {expected[1]} and {expected[0]}"
        )


@lru_cache(maxsize=8192)
def _gguf_name(architecture: str, name: str) -> str | None:
    """Name a layer as GGUF does.

    Raises:
        InvalidModel: nothing is known of the architecture.
    """
    names = _name_map(architecture)
    if names is None:
        raise InvalidModel(f"adapters for {architecture!r} models are not supported")
    return names.get_name(name)


@lru_cache(maxsize=4)
def _name_map(architecture: str) -> "TensorNameMap | None":
    # Imported late for the time that it takes; see `services.registry.gguf.tensors`.
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    numbers = {name: number for number, name in MODEL_ARCH_NAMES.items()}
    number = numbers.get(architecture)
    return None if number is None else get_tensor_name_map(number, _MAX_LAYERS)
