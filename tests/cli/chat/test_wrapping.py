"""What a reader sees of text that was wrapped while it came."""

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cli.chat.wrapping import WordWrap

_STEP = re.compile(r"\x1b\[(\d+)D|(\x1b\[K)|(.)", re.DOTALL)


def screen(output: str) -> list[str]:
    """Do what a terminal does with the output of characters that are a cell wide, or two."""
    lines: list[list[str]] = [[]]
    column = 0
    for back, erase, character in _STEP.findall(output):
        if back:
            column -= int(back)
            assert column >= 0
        elif erase:
            del lines[-1][column:]
        elif character == "\n":
            lines.append([])
            column = 0
        else:
            assert column == len(lines[-1])
            cells = [character, *[""] * (cell_len(character) - 1)]
            lines[-1] += cells
            column += len(cells)
    return ["".join(line) for line in lines]


def wrapped(pieces: Iterable[str], width: int) -> list[str]:
    wrap = WordWrap()
    return screen("".join([wrap.feed(piece, width) for piece in pieces]))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("one two three four", ["one two ", "three four"]),
        ("one\ntwo", ["one", "two"]),
        ("twelve chars and so on", ["twelve ", "chars and ", "so on"]),
        ("0123456789abcdefghij x", ["0123456789a", "bcdefghij x"]),
        ("ab 0123456789abcdef", ["ab ", "0123456789a", "bcdef"]),
        ("x 0123456789 y", ["x ", "0123456789 ", "y"]),
        ("我们在这里吃饭喝茶", ["我们在这里", "吃饭喝茶"]),
        ("a 我们在这 word", ["a 我们在这 ", "word"]),
    ],
)
def test_lines_of_twelve_cells(text: str, lines: list[str]) -> None:
    assert wrapped([text], 12) == lines
    assert wrapped(text, 12) == lines


@given(st.lists(st.text(alphabet="ab我é \n", max_size=30)), st.integers(10, 40))
def test_nothing_is_lost_and_every_line_fits(pieces: list[str], width: int) -> None:
    lines = wrapped(pieces, width)
    assert all(cell_len(line) < width for line in lines)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", "".join(pieces))


@given(st.lists(st.text(alphabet="abcde", min_size=1, max_size=9), min_size=1), st.integers(10, 40))
def test_words_stay_whole(words: list[str], width: int) -> None:
    assert " ".join(wrapped(" ".join(words), width)).split() == words


def test_a_wider_terminal_takes_more() -> None:
    wrap = WordWrap()
    output = wrap.feed("one two thr", 12) + wrap.feed("ee four", 30)
    assert screen(output) == ["one two three four"]


def test_a_narrower_terminal_breaks_what_is_there_itself() -> None:
    wrap = WordWrap()
    assert wrap.feed("one two three four five si", 40) == "one two three four five si"
    # It shows "one two three four f", "ive si", and the cursor in column 6 now.
    assert wrap.feed("x and seven eight", 20) == "x and seven e\x1b[1D\x1b[K\neight"


def test_a_very_narrow_terminal_wraps_for_itself() -> None:
    assert WordWrap().feed("one two three", 9) == "one two three"


def test_emoji_are_never_taken_back() -> None:
    assert (
        WordWrap().feed("123456 \u2600\ufe0fabcdef", 12)
        == "123456 \u2600\ufe0fab\x1b[2D\x1b[K\nabcdef"
    )


def test_marks_that_join_a_letter_take_no_room() -> None:
    assert WordWrap().feed("e\u0301" * 11, 12) == "e\u0301" * 11
    assert WordWrap().feed("e\u0301" * 12, 12) == "e\u0301" * 11 + "\ne\u0301"
