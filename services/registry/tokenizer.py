"""What a `tokenizer.json` says (huggingface.co/docs/tokenizers), in the words of GGUF files.

Those are described in ggml's docs/gguf.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import InvalidModel

_KINDS = {"BPE": "gpt2", "WordPiece": "bert", "Unigram": "t5"}
_WITH_BYTES = "llama"  # pieces of text that fall back to bytes, as SentencePiece makes them

_MAX_TOKENS = 4_000_000

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5


@dataclass(frozen=True)
class Tokenizer:
    """The little of a tokenizer that is worth keeping."""

    kind: str
    """GGUF's name for the algorithm; empty for one that it does not know."""

    lists: tuple[str, ...]
    """What `read_vocabulary` gives."""

    added_tokens: frozenset[str]


def parse_tokenizer(document: object) -> Tokenizer:
    """Read a parsed `tokenizer.json`.

    Raises:
        InvalidModel: it does not hold a tokenizer.
    """
    model = _model(document)
    kind = _WITH_BYTES if model.get("byte_fallback") else _KINDS.get(str(model.get("type")), "")
    added = frozenset(str(token.get("content")) for token in _added(document))
    has_merges = isinstance(model.get("merges"), list)
    lists = ("tokens", "token_type", *(["merges"] if has_merges else []))
    return Tokenizer(kind, lists, added)


def read_vocabulary(document: object) -> dict[str, list[Any]]:
    """Read all of a tokenizer's tokens, their types and how they merge.

    Raises:
        InvalidModel: it does not hold a tokenizer.
    """
    model = _model(document)
    tokens = _numbered(model)
    types = dict.fromkeys(tokens, _NORMAL)
    for token in _added(document):
        if isinstance(number := token.get("id"), int):
            tokens[number] = str(token.get("content"))
            types[number] = _CONTROL if token.get("special") else _USER_DEFINED
    count = max(tokens, default=-1) + 1
    if count > _MAX_TOKENS:
        raise InvalidModel(f"it numbers tokens beyond {_MAX_TOKENS}")
    vocabulary: dict[str, list[Any]] = {
        "tokens": [tokens.get(number, f"[PAD{number}]") for number in range(count)],
        "token_type": [types.get(number, _UNUSED) for number in range(count)],
    }
    if isinstance(merges := model.get("merges"), list):
        vocabulary["merges"] = [
            " ".join(map(str, pair)) if isinstance(pair, list) else str(pair) for pair in merges
        ]
    return vocabulary


def _model(document: object) -> Mapping[str, Any]:
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict):
        raise InvalidModel('"model" is missing')
    return model


def _added(document: object) -> Iterator[Mapping[str, Any]]:
    found = document.get("added_tokens") if isinstance(document, dict) else None
    if not isinstance(found, list | None):
        raise InvalidModel('"added_tokens" is not a list')
    yield from (token for token in found or () if isinstance(token, dict))


def _numbered(model: Mapping[str, Any]) -> dict[int, str]:
    """Give the tokens by their numbers: an object has these, a list of pairs implies them."""
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):
        return {number: token for token, number in vocabulary.items() if isinstance(number, int)}
    pieces = vocabulary if isinstance(vocabulary, list) else []
    return {
        number: str(piece[0])
        for number, piece in enumerate(pieces)
        if isinstance(piece, list) and piece
    }
