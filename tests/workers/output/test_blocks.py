import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.output.pieces import cuts, pieces, ways
from workers.output.blocks import Block, BlockFormat, BlockSplitter

CALL = BlockFormat("<call>", "</call>")
LAST = BlockFormat("[CALLS]")
BRACE = BlockFormat("{", leading=True)
LIST = BlockFormat("[", leading=True)


def split(formats: list[BlockFormat], parts: list[str]) -> list[str | Block]:
    """Give texts and blocks; texts next to each other are joined."""
    splitter = BlockSplitter(formats)
    joined: list[str | Block] = []
    for piece in [*(each for part in parts for each in splitter.feed(part)), *splitter.finish()]:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


@pytest.mark.parametrize(
    ("formats", "text", "found"),
    [
        (
            [CALL],
            "a <call>1</call> b<call></call><call>2</ call></call>< call>",
            [
                "a ",
                Block("<call>1</call>", CALL, closed=True),
                " b",
                Block("<call></call>", CALL, closed=True),
                Block("<call>2</ call></call>", CALL, closed=True),
                "< call>",
            ],
        ),
        ([LAST], "a [CALLS]1 [CALLS]2", ["a ", Block("[CALLS]1 [CALLS]2", LAST, closed=True)]),
        ([CALL], "<call>cut of", [Block("<call>cut of", CALL, closed=False)]),
        (
            [BRACE],
            "\n {1} ; {{}} x {3}",
            [
                "\n ",
                Block("{1}", BRACE, closed=True),
                " ; ",
                Block("{{}}", BRACE, closed=True),
                " x {3}",
            ],
        ),
        ([BRACE], r'{"}\"}"}', [Block(r'{"}\"}"}', BRACE, closed=True)]),
        ([BRACE], "{'}'", [Block("{'}", BRACE, closed=True), "'"]),
        ([BRACE], "{ {1}", [Block("{ {1}", BRACE, closed=False)]),
        ([LIST], "[f(']'), \"it's\"] y", [Block("[f(']'), \"it's\"]", LIST, closed=True), " y"]),
        ([BRACE], "So: {1}", ["So: {1}"]),
        (
            [CALL, BRACE],
            "<call>1</call>{2}",
            [Block("<call>1</call>", CALL, closed=True), "{2}"],
        ),
    ],
)
def test_blocks_and_what_is_between(
    formats: list[BlockFormat], text: str, found: list[str | Block]
) -> None:
    for parts in ways(text):
        assert split(formats, parts) == found


@given(text=st.text("<cal>/{[ ]CLS1", max_size=40), sizes=cuts())
def test_pieces_make_no_difference_and_nothing_is_lost(text: str, sizes: list[int]) -> None:
    formats = [CALL, LAST, BRACE]
    found = split(formats, pieces(text, sizes))
    assert found == split(formats, [text] if text else [])
    assert "".join(each if isinstance(each, str) else each.text for each in found) == text


def test_text_is_given_as_soon_as_it_is_certain() -> None:
    splitter = BlockSplitter([CALL])
    assert splitter.feed("one <") == ["one "]
    assert splitter.feed("b") == ["<b"]
    assert splitter.feed("<call>1") == []
    assert splitter.feed("</call>two") == [Block("<call>1</call>", CALL, closed=True), "two"]


@pytest.mark.parametrize("form", [CALL, LAST, BRACE])
def test_a_long_block_takes_time_in_proportion(form: BlockFormat) -> None:
    """Copying the block at each step, this took a minute and more."""
    text, size = "abcdefgh", 300_000
    start = time.process_time()
    found = split([form], [form.opening, *[text] * size])
    assert time.process_time() - start < 8.0
    assert found == [Block(form.opening + text * size, form, closed=form is LAST)]
