"""How byte-level vocabularies split text before they merge: by the name that GGUF has for it.

The names and their expressions: src/llama-vocab.cpp in github.com/ggml-org/llama.cpp.
"""

from dataclasses import dataclass

from common.errors import InvalidModel

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}"
_QWEN2 = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}|{_REST}"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_PATHS = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    rf"|\p{{N}}|{_PATHS}"
)
_GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
    rf"|\p{{N}}{{1,3}}|{_PATHS}"
)
_DEEPSEEK3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
    r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CHINESE = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"


@dataclass(frozen=True)
class Split:
    """How text becomes the pieces within which tokens are merged."""

    expressions: tuple[str, ...]
    """Each is applied to the pieces that the one before it left."""

    ignore_merges: bool = False
    """A piece that is a token is taken as it is, however its merges go."""

    add_bos: bool = False
    """Whether text begins with the first token, where the file does not say."""


_SPLITS = {
    Split((_LLAMA3,), ignore_merges=True, add_bos=True): (
        "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2"
    ),
    Split((_LLAMA3,)): "dbrx smaug-bpe",
    Split((_TEKKEN,), ignore_merges=True, add_bos=True): "tekken",
    Split((_QWEN2,)): "qwen2 deepseek-r1-qwen kormo megrez",
    Split((_GPT4O,)): "gpt-4o llama4 kanana2",
    Split((r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", _DEEPSEEK3)): (
        "deepseek-v3 hunyuan-dense"
    ),
    Split(("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CHINESE, r"\p{N}")): "deepseek-coder",
    Split((r"\p{N}", _GPT2)): "smollm starcoder refact command-r codeshell exaone minerva-7b",
    Split((_GPT2,)): "gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de mpt olmo jais trillion "
    "granite-docling roberta-bpe gigachat jina-v1-en jina-v2-code a.x-4.0 mellum",
}
_BY_NAME = {name: split for split, names in _SPLITS.items() for name in names.split()}


def split_of(name: str | None) -> Split:
    """Find how a vocabulary splits text.

    Raises:
        InvalidModel: the file does not say, or names a way that is not known.
    """
    if name not in _BY_NAME:
        raise InvalidModel(f"the GGUF file's tokenizer.ggml.pre {name!r} is not supported")
    return _BY_NAME[name]
