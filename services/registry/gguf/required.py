"""What a GGUF model cannot do without: a vocabulary, and the tensors of its architecture.

Only what is certain is asked for: of an architecture that is not in the table anything may be
the whole. The names are those of gguf-py/gguf/constants.py in github.com/ggml-org/llama.cpp,
and what its src/llama-model.cpp loads without a condition.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from common.errors import InvalidModel
from services.registry.gguf.file import GgufFile
from services.registry.gguf.tensors import Tensor
from services.registry.gguf.values import Array, quote

_EMBEDDINGS = "token_embd.weight"
_TOKENS = "tokenizer.ggml.tokens"
# Of models that get numbers instead of text.
_WITHOUT_VOCABULARY = ("none", "no_vocab")


@dataclass(frozen=True)
class _Required:
    """Names of tensors; where there are several ways, the beginnings of each way's name."""

    model: tuple[str, ...]
    block: tuple[tuple[str, ...], ...]


_DECODER = _Required(
    (_EMBEDDINGS, "output_norm.weight"),
    (
        ("attn_norm.weight",),
        ("attn_q.weight", "attn_qkv.weight"),
        ("attn_output.weight",),
        ("ffn_norm.weight",),
        ("ffn_up.", "ffn_up_exps.", "ffn_gate_up_exps."),
        ("ffn_down.", "ffn_down_exps."),
    ),
)
_BERT = _Required(
    (_EMBEDDINGS, "token_embd_norm.weight"),
    (
        ("attn_q.weight", "attn_qkv.weight"),
        ("attn_output.weight",),
        ("attn_output_norm.weight",),
        ("ffn_up.weight",),
        ("ffn_down.weight",),
        ("layer_output_norm.weight",),
    ),
)
_BY_ARCHITECTURE: Mapping[str, _Required] = {
    **dict.fromkeys(("gemma", "gemma2", "gemma3", "granite", "llama", "phi3"), _DECODER),
    **dict.fromkeys(("qwen2", "qwen2moe", "qwen3", "qwen3moe"), _DECODER),
    "bert": _BERT,
}


def check_vocabulary(first: GgufFile, tensors: Collection[Tensor]) -> None:
    """Hold a model that embeds tokens to say which tokens those are.

    Raises:
        InvalidModel: it does not.
    """
    if not any(tensor.name == _EMBEDDINGS for tensor in tensors):
        return
    tokens = first.metadata.get(_TOKENS)
    has_tokens = isinstance(tokens, Array) and tokens.length > 0
    if not has_tokens and first.text("tokenizer.ggml.model") not in _WITHOUT_VOCABULARY:
        raise InvalidModel(f'it has no tokenizer: "{_TOKENS}" is missing')


def check_tensors(first: GgufFile, tensors: Collection[Tensor]) -> None:
    """Hold a model of a known architecture to have the tensors that each such model has.

    Raises:
        InvalidModel: one is missing, or the embedding has another width than the model.
    """
    required = _BY_ARCHITECTURE.get(first.architecture)
    if required is None:
        return
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    for name in required.model:
        if name not in shapes:
            raise InvalidModel(f"it has no tensor {name}, which a {first.architecture} must have")
    count = first.count(f"{first.architecture}.block_count")
    # Before anything is done so many times.
    if not 0 < count <= len(shapes):
        raise InvalidModel(f"it has no tensors for its {count} layers")
    for number in range(count):
        _check_block(first.architecture, number, shapes, required)
    width = first.count(f"{first.architecture}.embedding_length")
    if shapes[_EMBEDDINGS][:1] != (width,):
        shown = quote(f"{first.architecture}.embedding_length")
        raise InvalidModel(f"{_EMBEDDINGS} is not as wide as {shown}, {width}, says")


def _check_block(
    architecture: str, number: int, names: Collection[str], required: _Required
) -> None:
    for ways in required.block:
        wanted = tuple(f"blk.{number}.{way}" for way in ways)
        if not any(_is_there(name, names) for name in wanted):
            shown = wanted[0].rstrip(".")
            raise InvalidModel(f"it has no tensor {shown}, which a {architecture} must have")


def _is_there(wanted: str, names: Collection[str]) -> bool:
    if wanted.endswith("."):  # with one tensor for each expert a number comes before the suffix
        return f"{wanted}weight" in names or f"{wanted}0.weight" in names
    return wanted in names
