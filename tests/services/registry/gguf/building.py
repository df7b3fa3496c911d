"""Small GGUF files, made in memory, sound ones and others."""

from collections.abc import Mapping
from struct import pack
from typing import Any, NamedTuple

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

ALIGNMENT = 32
CHAT_TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"


class Raw(NamedTuple):
    """A value as it stands in the file, with its type before it."""

    content: bytes


class Place(NamedTuple):
    """A tensor whose description is free."""

    kind: int
    shape: tuple[int, ...]
    offset: int


Metadata = Mapping[str, Any]
Tensors = Mapping[str, tuple[str, tuple[int, ...]] | Place]

LLAMA: Metadata = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.file_type": 15,
    "llama.context_length": 2048,
    "llama.embedding_length": 256,
    "llama.block_count": 1,
    "llama.rope.freq_base": 10000.0,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": ["<s>", "a", "b"],
    "tokenizer.ggml.token_type": [3, 1, 1],
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.chat_template": CHAT_TEMPLATE,
}
_BLOCK = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_up", "ffn_down")
TENSORS: Tensors = {
    "token_embd.weight": ("Q4_K", (256, 32)),
    "blk.0.attn_norm.weight": ("F32", (256,)),
    **{f"blk.0.{name}.weight": ("F16", (2, 2)) for name in _BLOCK},
    "output_norm.weight": ("F32", (4,)),
    "output.weight": ("F16", (256, 32)),
}
PROJECTOR: Metadata = {
    "general.architecture": "clip",
    "general.type": "mmproj",
    "clip.has_vision_encoder": True,
    "clip.vision.block_count": 2,
    "clip.vision.image_mean": [0.5, 0.5, 0.5],
}
PROJECTOR_TENSORS: Tensors = {"mm.0.weight": ("F16", (8, 8))}


def text(content: str | bytes) -> bytes:
    encoded = content.encode() if isinstance(content, str) else content
    return pack("<Q", len(encoded)) + encoded


def gguf(
    metadata: Metadata = LLAMA,
    tensors: Tensors = TENSORS,
    *,
    version: int = 3,
    magic: bytes = b"GGUF",
    key_count: int | None = None,
    tensor_count: int | None = None,
) -> bytes:
    """A file with tensors of zeros, given as name to type and shape."""
    keys = len(metadata) if key_count is None else key_count
    count = len(tensors) if tensor_count is None else tensor_count
    header = magic + pack("<IQQ", version, count, keys)
    for key, value in metadata.items():
        header += text(key) + _value(value)
    position = 0
    for name, tensor in tensors.items():
        place = tensor if isinstance(tensor, Place) else _place(tensor, position)
        header += text(name) + pack("<I", len(place.shape))
        header += b"".join(pack("<Q", length) for length in place.shape)
        header += pack("<IQ", place.kind, place.offset)
        if not isinstance(tensor, Place):
            position += _padded(_size(tensor))
    return header + bytes(_padded(len(header)) - len(header)) + bytes(position)


def shards(count: int = 2) -> dict[str, bytes]:
    """The files of a sharded model, by the names that llama.cpp gives them."""
    files = {}
    names = list(TENSORS)
    for number in range(count):
        split = {"split.no": number, "split.count": count, "split.tensors.count": len(names)}
        tensors: Tensors = {name: TENSORS[name] for name in names[number::count]}
        name = f"tiny-{number + 1:05}-of-{count:05}.gguf"
        files[name] = gguf({**(LLAMA if number == 0 else {}), **split}, tensors)
    return files


def _value(value: Any) -> bytes:
    if isinstance(value, Raw):
        return value.content
    if isinstance(value, list):
        items = [_value(item) for item in value]
        kind = items[0][:4] if items else pack("<I", 4)
        return pack("<I", 9) + kind + pack("<Q", len(items)) + b"".join(it[4:] for it in items)
    if isinstance(value, str | bytes):
        return pack("<I", 8) + text(value)
    if isinstance(value, bool):
        return pack("<I?", 7, value)
    if isinstance(value, float):
        return pack("<If", 6, value)
    return pack("<II", 4, value)


def _place(tensor: tuple[str, tuple[int, ...]], position: int) -> Place:
    return Place(int(GGMLQuantizationType[tensor[0]]), tensor[1], position)


def _size(tensor: tuple[str, tuple[int, ...]]) -> int:
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[tensor[0]]]
    elements = 1
    for length in tensor[1]:
        elements *= length
    return elements // block * size


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
