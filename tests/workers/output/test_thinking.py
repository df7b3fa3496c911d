import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.output.pieces import cuts, pieces, ways
from workers.output.parsed import Parsed
from workers.output.tags import Tags
from workers.output.thinking import EmptyThoughtFilter, ThinkingSplitter, Thought

TAGS = Tags("<think>", "</think>")


def split(splitter: ThinkingSplitter, parts: list[str]) -> tuple[str, str]:
    parsed = Parsed()
    for part in parts:
        parsed.add(splitter.feed(part))
    parsed.add(splitter.finish())
    return parsed.thinking, parsed.content


@pytest.mark.parametrize(
    ("text", "thinking", "content"),
    [
        ("<think>Hm.</think>Yes.", "Hm.", "Yes."),
        ("<think>\nHm.\n</think>\n\nYes.\n", "Hm.\n", "Yes.\n"),
        (" \n<think>\nHm. </think> ", "Hm. ", ""),
        ("<think>\n\n</think>\n\nYes.", "", "Yes."),
        ("<think></think>Yes.", "", "Yes."),
        ("Yes.", "", "Yes."),
        ("\n Yes.", "", "\n Yes."),
        ("Yes <think>no</think>", "", "Yes <think>no</think>"),
        ("<thin", "", "<thin"),
        ("<thing>", "", "<thing>"),
        ("", "", ""),
        ("  ", "", "  "),
        ("<think>It never ends", "It never ends", ""),
        ("<think>cut off at the tag</thin", "cut off at the tag</thin", ""),
        ("<think>a < b </ </thin </think>c", "a < b </ </thin ", "c"),
        ("<think>one</think>two</think>three", "one", "two</think>three"),
        ("<think>one<think>two</think>three", "one<think>two", "three"),
    ],
)
def test_a_thought_and_the_answer_in_any_pieces(text: str, thinking: str, content: str) -> None:
    for parts in ways(text):
        assert split(ThinkingSplitter(TAGS, opened=False), parts) == (thinking, content)


@pytest.mark.parametrize(
    ("text", "thinking", "content"),
    [
        ("Hm.</think>Yes.", "Hm.", "Yes."),
        ("\nHm.\n</think>\n\nYes.", "Hm.\n", "Yes."),
        ("<think>\nHm.</think>Yes.", "Hm.", "Yes."),
        ("</think>\n\nYes.", "", "Yes."),
        ("It never ends", "It never ends", ""),
        ("<thin", "<thin", ""),
    ],
)
def test_a_thought_that_the_prompt_opened(text: str, thinking: str, content: str) -> None:
    for parts in ways(text):
        assert split(ThinkingSplitter(TAGS, opened=True), parts) == (thinking, content)


def test_a_tool_call_ends_a_thought_and_stays() -> None:
    for parts in ways("<think>I need it. <tool_call>{}</tool_call>"):
        splitter = ThinkingSplitter(TAGS, opened=False, interrupts=("<tool_call>",))
        assert split(splitter, parts) == ("I need it. ", "<tool_call>{}</tool_call>")


@given(text=st.text("<think>/ \nab", max_size=40), sizes=cuts())
def test_pieces_make_no_difference(text: str, sizes: list[int]) -> None:
    whole = split(ThinkingSplitter(TAGS, opened=False), [text])
    assert split(ThinkingSplitter(TAGS, opened=False), pieces(text, sizes)) == whole
    whole = split(EmptyThoughtFilter(TAGS, opened=False), [text])
    assert split(EmptyThoughtFilter(TAGS, opened=False), pieces(text, sizes)) == whole


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("<think>\n\n</think>\n\nYes.", "Yes."),
        ("\n<think></think>Yes.", "Yes."),
        ("Yes.", "Yes."),
        ("<think>\nHm.</think>Yes.", "<think>\nHm.</think>Yes."),
        ("<think>\n", "<think>\n"),
        ("<think>\n</thin", "<think>\n</thin"),
        ("<thi", "<thi"),
        ("  ", "  "),
    ],
)
def test_an_empty_thought_is_dropped_where_none_is_wanted(text: str, content: str) -> None:
    for parts in ways(text):
        assert split(EmptyThoughtFilter(TAGS, opened=False), parts) == ("", content)


def test_nothing_is_held_back_without_need() -> None:
    splitter = ThinkingSplitter(TAGS, opened=False)
    steps = [
        ("<thi", Parsed(), Thought.UNDECIDED),
        ("nk>", Parsed(), Thought.OPEN),
        ("Hm", Parsed(thinking="Hm"), Thought.OPEN),
        (", so </thi", Parsed(thinking=", so "), Thought.OPEN),
        ("s or</think>", Parsed(thinking="</this or"), Thought.OVER),
        (" Yes", Parsed(content="Yes"), Thought.OVER),
        (" <think>", Parsed(content=" <think>"), Thought.OVER),
    ]
    for text, parsed, thought in steps:
        assert (splitter.feed(text), splitter.thought) == (parsed, thought)
