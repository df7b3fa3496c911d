"""The vocabulary of a GGUF file: its tokens, what kind each is, and the special ones."""

from dataclasses import dataclass
from typing import Any

from gguf import TokenType

from common.errors import InvalidModel
from workers.gguf.source import Metadata

_PREFIX = "tokenizer.ggml"
_NAMES = {
    "bos": "bos",
    "eos": "eos",
    "unk": "unknown",
    "sep": "seperator",  # as the format spells it
    "pad": "padding",
    "cls": "cls",
    "mask": "mask",
}
# Tokens that end an answer, by whatever key or none a file names them
# (llama.cpp, src/llama-vocab.cpp).
_ENDS = frozenset(
    {
        "<|eot_id|>",
        "<|eom_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|end_of_role|>",
        "<end_of_turn>",
        "<end_of_utterance>",
        "<turn|>",
        "<EOT>",
        "_<EOT>",
        "< EOT >",
        "<｜end▁of▁sentence｜>",  # noqa: RUF001
    }
)
_END_KEYS = ("eos", "eot", "eom")


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says about its tokens."""

    model: str
    """The algorithm: "gpt2", "llama" or "bert"."""

    pre: str | None
    """How text is split before merges, for "gpt2"."""

    tokens: list[str]
    kinds: list[int]
    scores: list[float]
    merges: list[str]
    special: dict[str, int]
    """Ids of "bos", "eos" and so on, those that there are."""

    ends: list[int]
    """Ids of the tokens that end an answer; the first is the file's own."""

    add_bos: bool | None
    add_eos: bool | None
    add_space_prefix: bool

    def text(self, name: str) -> str | None:
        """Give a special token's text; None where there is no such token."""
        number = self.special.get(name)
        return None if number is None else self.tokens[number]

    def of_kind(self, *kinds: TokenType) -> list[int]:
        """Give the ids of the tokens of some kinds."""
        return [number for number, kind in enumerate(self.kinds) if kind in kinds]


def read_vocabulary(metadata: Metadata, size: int) -> Vocabulary:
    """Read the vocabulary of a model that has embeddings for `size` tokens.

    Raises:
        InvalidModel: it has none, or one that contradicts itself.
    """
    tokens = _array(metadata, "tokens")
    if not tokens or len(tokens) > size:
        raise InvalidModel(f"the GGUF file has {len(tokens)} tokens and {size} embeddings")
    special = {name: _special(metadata, key, len(tokens)) for name, key in _NAMES.items()}
    kinds = _array(metadata, "token_type") or [int(TokenType.NORMAL)] * len(tokens)
    scores = _array(metadata, "scores") or [0.0] * len(tokens)
    if not len(kinds) == len(scores) == len(tokens):
        raise InvalidModel("the GGUF file has not as many token types and scores as tokens")
    space_prefix = metadata.find(f"{_PREFIX}.add_space_prefix")
    return Vocabulary(
        model=str(metadata.find(f"{_PREFIX}.model")),
        pre=metadata.find(f"{_PREFIX}.pre"),
        tokens=tokens,
        kinds=kinds,
        scores=scores,
        merges=_array(metadata, "merges"),
        special={name: number for name, number in special.items() if number is not None},
        ends=_ends(metadata, tokens, kinds),
        add_bos=metadata.find(f"{_PREFIX}.add_bos_token"),
        add_eos=metadata.find(f"{_PREFIX}.add_eos_token"),
        add_space_prefix=True if space_prefix is None else bool(space_prefix),
    )


def _array(metadata: Metadata, name: str) -> list[Any]:
    value = metadata.find(f"{_PREFIX}.{name}")
    return value if isinstance(value, list) else []


def _special(metadata: Metadata, name: str, count: int) -> int | None:
    number = metadata.find(f"{_PREFIX}.{name}_token_id")
    return number if isinstance(number, int) and 0 <= number < count else None


def _ends(metadata: Metadata, tokens: list[str], kinds: list[int]) -> list[int]:
    stated = [_special(metadata, key, len(tokens)) for key in _END_KEYS]
    known = [
        number
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if token in _ENDS and kind in (TokenType.CONTROL, TokenType.USER_DEFINED)
    ]
    return list(dict.fromkeys(number for number in (*stated, *known) if number is not None))
