from typing import Any

import pytest

from common.errors import InvalidModel
from services.registry.tokenizer import parse_tokenizer, read_vocabulary


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ({"type": "BPE"}, "gpt2"),
        ({"type": "BPE", "byte_fallback": True}, "llama"),
        ({"type": "WordPiece"}, "bert"),
        ({"type": "Unigram"}, "t5"),
        ({"type": "WordLevel"}, ""),
    ],
)
def test_kinds(model: dict[str, Any], kind: str) -> None:
    tokenizer = parse_tokenizer({"model": model, "added_tokens": [{"content": "<s>"}, 3]})
    assert tokenizer.kind == kind
    assert tokenizer.added_tokens == {"<s>"}


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ({"vocab": {"a": 0, "b": 1}}, ["a", "b"]),
        ({"vocab": {"a": 0, "c": 2, "odd": "x"}}, ["a", "[PAD1]", "c"]),
        ({"vocab": [["a", -1.0], ["b", -2.0]]}, ["a", "b"]),
        ({"vocab": None}, []),
    ],
)
def test_vocabularies(model: dict[str, Any], tokens: list[str]) -> None:
    assert read_vocabulary({"model": model})["tokens"] == tokens


def test_merges_are_pairs_of_tokens_in_either_form() -> None:
    document = {"model": {"vocab": {}, "merges": ["a b", ["c", "d"]]}}
    assert parse_tokenizer(document).lists == ("tokens", "token_type", "merges")
    assert read_vocabulary(document)["merges"] == ["a b", "c d"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], '"model" is missing'),
        ({}, '"model" is missing'),
        ({"model": {}, "added_tokens": 5}, '"added_tokens" is not a list'),
        ({"model": {}, "added_tokens": {"a": 1}}, '"added_tokens" is not a list'),
        ({"model": {"vocab": {"a": 10**9}}}, "it numbers tokens beyond"),
    ],
)
def test_what_is_no_tokenizer(document: object, message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        read_vocabulary(document)
