"""Which type each tensor of a GGUF file gets: llama.cpp's mixtures (src/llama-quant.cpp).

"Q4_K_M" names a mixture: most matrices are Q4_K, those that suffer most from it are more.
Ollama's additions to the rules, per architecture, are `_KEPT` (its server/quantization.go).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gguf.constants import GGML_QUANT_SIZES
from gguf.constants import GGMLQuantizationType as Type

from services.registry.gguf.model import GgufModel
from services.registry.gguf.tensors import Tensor
from services.registry.quantize.file_type import FLOATS, FileType

_MAX_COLUMNS = 1 << 22  # a row is taken into memory as a whole

_BASE = {
    FileType.F32: Type.F32,
    FileType.F16: Type.F16,
    FileType.BF16: Type.BF16,
    FileType.Q8_0: Type.Q8_0,
    FileType.Q4_K_S: Type.Q4_K,
    FileType.Q4_K_M: Type.Q4_K,
}

# Where rows do not divide into blocks of 256, types with blocks of 32.
_FALLBACKS = {Type.Q4_K: Type.Q5_0, Type.Q5_K: Type.Q5_1, Type.Q6_K: Type.Q8_0}

_VALUES = ("attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight")
_EMBEDDINGS = ("token_embd.weight", "per_layer_token_embd.weight")

# Small, or too delicate, or of another modality: matrices that stay as they are.
_UNTOUCHED = re.compile(
    r"^(?:a|mm|mtp|s|v)\.|_norm\.weight|ffn_gate_inp\.weight|ffn_gate_tid2eid\.weight|altup|laurel"
    r"|per_layer_model_proj|^position_embd\.weight$|^token_types\.weight$|ssm_conv1d"
    r"|shortconv\.conv\.weight|indexer\.[kq]_proj\.weight|attn_rel_b\.weight"
    r"|time_mix_(?:first|w[012]|v[012]|a[012]|g[12]|decay_w[12]|lerp_fused)\.weight"
)

# Per architecture, matrices that Q4_K would damage.
_KEPT = (
    ({"qwen35", "qwen35moe"}, re.compile(r"^blk\.\d+\.nextn\.eh_proj\.weight$"), Type.Q8_0),
    ({"gemma3n"}, re.compile(r"^per_layer_token_embd\.weight$"), Type.F16),
    (
        {"deepseek2"},
        re.compile(r"attn_(?:k_b|q_a|q_b|v_b|kv_a_mqa)\.weight$"),
        Type.Q8_0,
    ),
    ({"glmocr", "glm4"}, re.compile(r"^(?:token_embd|output)\.weight$"), Type.F16),
)

_BLOCK = re.compile(r"blk\.(\d+)\.")


def choose_types(model: GgufModel, wanted: FileType) -> dict[str, Type]:
    """Choose new types for tensors, by name; those that are left out keep theirs."""
    rules = _Rules(model, wanted)
    chosen = {}
    for tensor in _by_block(model.tensors):
        if may_be_quantized(tensor):
            chosen[tensor.name] = rules.choose(tensor)
    return chosen


def may_be_quantized(tensor: Tensor) -> bool:
    """Tell whether a tensor is of those whose type changes: matrices of weights."""
    return (
        tensor.dtype in FLOATS
        and len(_without_ones(tensor.shape)) > 1
        and tensor.shape[0] <= _MAX_COLUMNS
        and tensor.name.endswith("weight")
        and not _UNTOUCHED.search(tensor.name)
    )


@dataclass(frozen=True)
class _Model:
    """What the rules look at in the metadata."""

    architecture: str
    blocks: int
    experts: int
    shares_values: bool
    ties_embeddings: bool
    value_layers: int


class _Rules:
    """Chooses types for tensors that come in the order of their blocks."""

    def __init__(self, model: GgufModel, wanted: FileType) -> None:
        names = [tensor.name for tensor in model.tensors]
        architecture, count = model.architecture, model.files[0].count
        heads = count(f"{architecture}.attention.head_count")
        shared = count(f"{architecture}.attention.head_count_kv")
        self._model = _Model(
            architecture=architecture,
            blocks=count(f"{architecture}.block_count"),
            experts=count(f"{architecture}.expert_count"),
            shares_values=0 < shared < heads,
            ties_embeddings="output.weight" not in names,
            value_layers=sum(any(value in name for value in _VALUES) for name in names),
        )
        self._wanted = wanted
        self._seen: Counter[str] = Counter()

    def choose(self, tensor: Tensor) -> Type:
        """Choose a tensor's type."""
        if self._wanted.is_float:
            return _BASE[self._wanted]
        return _fitting(self._kept(tensor) or self._mixed(tensor), tensor.shape[0])

    def _kept(self, tensor: Tensor) -> Type | None:
        if self._wanted is FileType.Q8_0:
            return None
        for architectures, names, kind in _KEPT:
            if self._model.architecture in architectures and names.search(tensor.name):
                return kind
        return None

    def _mixed(self, tensor: Tensor) -> Type:
        name, base = tensor.name, _BASE[self._wanted]
        if self._is_output(name):
            return self._of_output(tensor, base)
        if base is Type.Q8_0:
            return base
        if any(value in name for value in _VALUES):
            return self._of_values()
        if "attn_k.weight" in name and self._model.experts == 8:
            return Type.Q8_0
        if "ffn_down" in name:
            return self._of_ffn_down(name)
        if "attn_output.weight" in name and self._is_mixtral():
            return Type.Q5_K
        return base

    def _is_output(self, name: str) -> bool:
        return name == "output.weight" or (self._model.ties_embeddings and name in _EMBEDDINGS)

    def _of_output(self, tensor: Tensor, base: Type) -> Type:
        falcon = self._model.architecture == "falcon"
        if falcon or base is Type.Q8_0 or tensor.shape[0] % GGML_QUANT_SIZES[base][0]:
            return Type.Q8_0
        return Type.Q6_K

    def _of_values(self) -> Type:
        number = self._seen["values"]
        self._seen["values"] += 1
        if self._model.experts == 8:
            return Type.Q8_0
        if self._wanted is FileType.Q4_K_M and _more_bits(number, self._model.value_layers):
            return Type.Q6_K
        if self._wanted is FileType.Q4_K_S and number < 4:
            return Type.Q5_K
        is_70b = self._model.blocks == 80 and self._model.shares_values
        return Type.Q5_K if is_70b else Type.Q4_K

    def _of_ffn_down(self, name: str) -> Type:
        blocks = self._model.blocks
        number = self._seen["ffn_down"]
        self._seen["ffn_down"] += 1
        if self._model.experts > 1 and (block := _BLOCK.match(name)):
            number = int(block[1])
        falcon = self._model.architecture == "falcon"
        if self._wanted is FileType.Q4_K_S:
            return Type.Q5_K if not falcon and number < blocks // 8 else Type.Q4_K
        if falcon and number >= blocks // 16:
            return Type.Q5_K if _more_bits(number, blocks) else Type.Q4_K
        return Type.Q6_K if falcon or _more_bits(number, blocks) else Type.Q4_K

    def _is_mixtral(self) -> bool:
        return self._model.experts == 8 and self._model.architecture != "falcon"


def _more_bits(number: int, layers: int) -> bool:
    """Single out the first eighth of the layers, the last, and every third between them."""
    eighth = layers // 8
    return number < eighth or number >= 7 * layers // 8 or (number - eighth) % 3 == 2


def _fitting(kind: Type, columns: int) -> Type:
    """Fall back to a type into whose blocks rows of this length divide."""
    for candidate in (kind, _FALLBACKS.get(kind, Type.F16)):
        if columns % GGML_QUANT_SIZES[candidate][0] == 0:
            return candidate
    return Type.F16


def _by_block(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Order tensors as llama.cpp goes through them."""

    def key(tensor: Tensor) -> tuple[int, str]:
        block = _BLOCK.match(tensor.name)
        return (int(block[1]) if block else -1, tensor.name)

    return sorted(tensors, key=key)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drop trailing dimensions of length one, which ggml does not count."""
    length = max((number for number, size in enumerate(shape, 1) if size != 1), default=0)
    return shape[:length]
