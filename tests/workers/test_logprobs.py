from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from workers.logprobs import LogprobReader

TEXTS = {
    0: b"<end>",
    1: b"Hel",
    2: b"lo",
    3: b" wor",
    4: b"ld",
    5: "é".encode()[:1],
    6: "é".encode()[1:],
    7: b".",
    8: b" Hi",
    9: b"<think>",
}


class Table:
    """Stands for the vocabulary."""

    def is_special(self, token: int) -> bool:
        return token in (0, 9)

    def of(self, token: int, decoded: str) -> bytes:
        return TEXTS[token]


@dataclass
class Found:
    logprob: float
    decoded_token: str | None = None


@dataclass
class Added:
    text: str = ""
    token_ids: Sequence[int] = ()
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    logprobs: Sequence[dict[int, Found]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.logprobs:
            self.logprobs = [{token: Found(-1.0)} for token in self.token_ids]


def read(*steps: Added, special_tokens: bool = False) -> list[list[bytes]]:
    reader = LogprobReader(Table(), 0, special_tokens=special_tokens)  # type: ignore[arg-type]
    return [[each.token_bytes for each in reader.read(step)] for step in steps]


def test_each_token_comes_with_its_text() -> None:
    assert read(Added("Hel", [1]), Added("lo", [2]), Added(" world", [3, 4])) == [
        [b"Hel"],
        [b"lo"],
        [b" wor", b"ld"],
    ]


def test_parts_of_a_character_come_with_the_character() -> None:
    reader = LogprobReader(Table(), 0)  # type: ignore[arg-type]
    assert reader.read(Added("", [5])) == []
    first, second = reader.read(Added("é", [6]))
    assert (first.token, first.token_bytes) == ("\ufffd", b"\xc3")
    assert (second.token, second.token_bytes) == ("\ufffd", b"\xa9")


def test_the_token_that_ends_the_answer_is_not_shown() -> None:
    assert read(Added("Hel", [1]), Added("", [0], "stop")) == [[b"Hel"], []]
    assert read(Added("Hel", [1]), Added("", [7], "stop", stop_reason=7)) == [[b"Hel"], []]


def test_an_answer_that_is_cut_off_shows_all() -> None:
    assert read(Added("Hel", [1]), Added("", [5], "length")) == [[b"Hel"], [b"\xc3"]]


def test_what_may_become_a_stop_string_waits() -> None:
    steps = [Added("He", [1]), Added("l", [2]), Added("lo", [7])]
    assert read(*steps) == [[b"Hel"], [], [b"lo"]]


def test_a_stop_string_s_own_tokens_are_not_shown() -> None:
    steps = [Added("Hel", [1]), Added("", [2]), Added("", [3], "stop", stop_reason="lo w")]
    assert read(*steps) == [[b"Hel"], [], []]
    steps = [Added("Hel", [1]), Added("l", [2], "stop", stop_reason="o")]
    assert read(*steps) == [[b"Hel"], [b"lo"]]


def test_special_tokens_in_the_text_count_as_text() -> None:
    """Else the text is taken for that of tokens which a stop string holds back."""
    held_back = [Added("", [2]), Added("", [3], "stop", stop_reason="lo w")]
    shown = read(Added("<think>Hel", [9, 1]), *held_back, special_tokens=True)
    assert shown == [[b"<think>", b"Hel"], [], []]
    assert read(Added("Hel", [9, 1]), *held_back) == [[b"<think>", b"Hel"], [], []]


def test_half_a_character_is_one_character_of_text() -> None:
    """Tokenizers write U+FFFD for it, which has more bytes than it."""
    held_back = [Added("", [2]), Added("", [3], "stop", stop_reason="lo w")]
    assert read(Added("", [5]), Added("\ufffdHel", [1]), *held_back) == [
        [],
        [b"\xc3", b"Hel"],
        [],
        [],
    ]
    assert read(Added("", [5]), Added("\ufffd", [1], "stop", stop_reason="Hel")) == [
        [],
        [b"\xc3"],
    ]


def test_a_space_that_the_tokenizer_drops_is_no_text() -> None:
    steps = [Added("Hi", [8]), Added(".", [7]), Added("", [3], "stop", stop_reason=" wor")]
    assert read(*steps) == [[b" Hi"], [b"."], []]


@pytest.mark.parametrize("alternatives", [0, 1, 2])
def test_alternatives_are_counted_and_in_order(alternatives: int) -> None:
    """vLLM gives one more where the token itself is none of the likeliest."""
    found = {4: Found(-9.0), 2: Found(-2.0), 1: Found(-0.5)}
    reader = LogprobReader(Table(), alternatives)  # type: ignore[arg-type]
    [shown] = reader.read(Added("ld", [4], logprobs=[found]))
    assert (shown.token, shown.logprob) == ("ld", -9.0)
    best = [(each.token, each.logprob) for each in shown.alternatives]
    assert best == [("Hel", -0.5), ("lo", -2.0)][:alternatives]
