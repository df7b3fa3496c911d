"""Whether `vllm-gguf-plugin` serves a GGUF file as it is: see `workers.gguf.plugin`."""

from itertools import groupby

from gguf import GGMLQuantizationType

from workers.gguf.plugin import ARCHITECTURES
from workers.gguf.source import GgufSource

_PLAIN = frozenset({"F32", "F16", "BF16"})
_QUANTIZED = frozenset(
    {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}
    | {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"}
    | {"IQ1_M", "IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S"}
    | {"IQ3_XXS", "IQ3_S", "IQ4_XS", "IQ4_NL"}
)
# vLLM makes one matrix of these, and has either all of them quantised or none.
_FUSED = (("attn_q", "attn_k", "attn_v"), ("ffn_gate", "ffn_up"))


def is_native(source: GgufSource) -> bool:
    """Tell whether the plugin serves a model right; if not, it has to be converted.

    A model that is not quantised is converted as well: it does not grow, and vLLM's own
    loader is faster.
    """
    kinds = {tensor.kind.name for tensor in source.tensors.values()}
    tokens = source.metadata.find("tokenizer.ggml.tokens")
    embeddings = source.tensors.get("token_embd.weight")
    return (
        source.metadata.architecture in ARCHITECTURES
        and kinds <= _PLAIN | _QUANTIZED
        and not kinds <= _PLAIN
        and source.files == 1
        and embeddings is not None
        and len(tokens or ()) == embeddings.shape[0]
        and _is_evenly_quantized(source)
    )


def _is_evenly_quantized(source: GgufSource) -> bool:
    places = [(name, tensor.kind) for name, tensor in source.tensors.items()]
    return all(
        len({kind.name in _PLAIN for kind in kinds}) == 1
        for parts in _FUSED
        for kinds in _by_layer(places, parts)
    )


def _by_layer(
    places: list[tuple[str, GGMLQuantizationType]], parts: tuple[str, ...]
) -> list[list[GGMLQuantizationType]]:
    """Give the types of some parts' matrices, layer by layer."""
    found = []
    for name, kind in places:
        pieces = name.split(".")
        if len(pieces) == 4 and pieces[2] in parts and pieces[3] == "weight":
            found.append((pieces[1], kind))
    found.sort()
    return [[kind for _, kind in layer] for _, layer in groupby(found, lambda it: it[0])]
