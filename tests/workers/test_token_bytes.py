from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from workers.token_bytes import TokenBytes

DEMO = Path(__file__).parents[2] / "examples" / "demo_model" / "model"
BYTE_LEVEL: Any = AutoTokenizer.from_pretrained(DEMO)


def textual() -> Any:
    pieces = ["<unk>", "▁Hello", "world", "▁", "<0xE2>", "<0x0A>", "é", "<s>"]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, []))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token="<s>"
    )


@given(st.text())
def test_the_bytes_of_a_text_s_tokens_are_the_text(text: str) -> None:
    tokens = BYTE_LEVEL.encode(text, add_special_tokens=False)
    table = TokenBytes(BYTE_LEVEL)
    assert b"".join(table.of(token, "?") for token in tokens) == text.encode()


def test_special_tokens_are_their_texts() -> None:
    table = TokenBytes(BYTE_LEVEL)
    end = BYTE_LEVEL.convert_tokens_to_ids("<|im_end|>")
    assert table.of(end, "") == b"<|im_end|>"
    assert table.is_special(end)
    assert not table.is_special(0)


def test_what_decoding_skips_is_special() -> None:
    backend = Tokenizer(models.BPE({"a": 0}, []))
    backend.add_special_tokens([AddedToken("<x>", special=True)])
    backend.add_tokens([AddedToken("<y>")])
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend
    )
    assert tokenizer.decode([0, 1, 2], skip_special_tokens=True) == "a <y>"
    table = TokenBytes(tokenizer)
    assert [table.is_special(token) for token in range(3)] == [False, True, False]


@pytest.mark.parametrize(
    ("token", "expected"),
    [(1, b" Hello"), (2, b"world"), (3, b" "), (4, b"\xe2"), (5, b"\n"), (6, "é".encode())],
)
def test_a_vocabulary_of_texts_and_bytes(token: int, expected: bytes) -> None:
    assert TokenBytes(textual()).of(token, "?") == expected


def test_a_token_that_the_tokenizer_does_not_have() -> None:
    assert TokenBytes(BYTE_LEVEL).of(999_999, "x") == b"x"


class Unknown:
    """A tokenizer of another make."""

    all_special_ids = (0,)

    def get_added_vocab(self) -> dict[str, int]:
        return {"<s>": 0}

    def convert_ids_to_tokens(self, token: int) -> str:
        return "##ing"


def test_another_tokenizer_gives_what_was_decoded() -> None:
    table = TokenBytes(Unknown())
    assert table.of(5, "ing") == b"ing"
    assert table.of(0, "") == b"<s>"
