"""Which layers of a Hugging Face model are quantised: the large ones of its decoder."""

import re
from collections import defaultdict
from collections.abc import Iterable

from common.errors import InvalidModel
from services.registry.quantize.floats import FLOAT_SIZES
from services.registry.safetensors import Tensor

_DECODER = r"(?:.*\.)?(?:layers|h)\.\d+\."
_IN_DECODER = re.compile(_DECODER)

# Linear layers by the names that they have in most families.
_LAYER = re.compile(
    rf"{_DECODER}(?:.*\.)?"
    r"(?:[qkvo]_proj|qkv_proj|gate_proj|up_proj|down_proj|gate_up_proj|out_proj|fc[12]|w[123]"
    r"|q_a_proj|q_b_proj|kv_a_proj_with_mqa|kv_b_proj)\.weight"
)

# Parts of names that are not the decoder's: other modalities, drafts.
_FOREIGN = re.compile(
    r"(?:^|[._])(?:vision|visual|vit|image|audio|speech|whisper|encoder|mtp|nextn|connector"
    r"|projector|mm|resampler|qformer|merger)(?:[._]|$)"
)

# The engine's kernels need rows and columns in multiples of this.
_UNIT = 32

_MAX_COLUMNS = 1 << 20  # a row is taken into memory as a whole

# Layers that the engine joins, and that therefore have to be of one kind.
_JOINED = (
    frozenset({"q_proj", "k_proj", "v_proj"}),
    frozenset({"gate_proj", "up_proj"}),
    frozenset({"w1", "w3"}),
    frozenset({"q_a_proj", "kv_a_proj_with_mqa"}),
)


def choose_layers(tensors: Iterable[Tensor]) -> frozenset[str]:
    """Choose the tensors to quantise, by their names.

    Raises:
        InvalidModel: the model has none, or keeps its experts in a way that is not read.
    """
    sets: dict[str, list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        if _FOREIGN.search(tensor.name) or not _IN_DECODER.match(tensor.name):
            continue
        if _is_stack(tensor):
            raise InvalidModel(
                f"a model that keeps all experts of a layer in one tensor ({tensor.name}) "
                "cannot be quantized"
            )
        if _LAYER.fullmatch(tensor.name):
            sets[_joined_as(tensor.name)].append(tensor)
    fitting = [found for found in sets.values() if all(map(_fits, found))]
    if not fitting:
        raise InvalidModel("the model has no layers that can be quantized")
    return frozenset(tensor.name for found in fitting for tensor in found)


def ignored_layers(tensors: Iterable[Tensor], chosen: frozenset[str]) -> list[str]:
    """Name the layers that stay as they are, for the engine to know."""
    left = {
        tensor.name.removesuffix(".weight")
        for tensor in tensors
        if tensor.name not in chosen and tensor.name.endswith(".weight") and len(tensor.shape) > 1
    }
    return sorted(left | {"lm_head"})


def _is_stack(tensor: Tensor) -> bool:
    """Tell several matrices in one from a convolution, which is narrow."""
    return len(tensor.shape) == 3 and min(tensor.shape[1:]) >= _UNIT


def _fits(tensor: Tensor) -> bool:
    return (
        tensor.dtype in FLOAT_SIZES
        and len(tensor.shape) == 2
        and all(length and length % _UNIT == 0 for length in tensor.shape)
        and tensor.shape[1] <= _MAX_COLUMNS
    )


def _joined_as(name: str) -> str:
    """Give one key to all layers that have to be of one kind."""
    experts, found, _ = name.partition(".experts.")
    if found:
        return experts
    parent, _, leaf = name.removesuffix(".weight").rpartition(".")
    joined = next((min(leaves) for leaves in _JOINED if leaf in leaves), leaf)
    return f"{parent}.{joined}"
