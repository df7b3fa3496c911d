import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.output.pieces import cuts, pieces, read, ways
from workers.output.harmony import HarmonyReader
from workers.output.json_calls import Call
from workers.output.parsed import Parsed
from workers.output.thinking import Thought

PROMPT = "<|start|>user<|message|>Hi<|end|><|start|>assistant"
THOUGHT = "<|channel|>analysis<|message|>Hm, 1 < 2.<|end|>"
FINAL = "<|start|>assistant<|channel|>final<|message|>Hello."
ADD = Call("add", '{"a": 1}')


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        (THOUGHT + FINAL, Parsed("Hm, 1 < 2.", "Hello.")),
        (THOUGHT + FINAL + "<|return|>", Parsed("Hm, 1 < 2.", "Hello.")),
        ("<|channel|>final<|message|>Hello.", Parsed(content="Hello.")),
        (
            THOUGHT + "<|start|>assistant<|channel|>commentary to=functions.add "
            '<|constrain|>json<|message|>{"a": 1}<|call|>',
            Parsed("Hm, 1 < 2.", calls=[ADD]),
        ),
        (
            THOUGHT + "<|start|>assistant to=functions.add<|channel|>commentary json<|message|>"
            '{"a": 1}',
            Parsed("Hm, 1 < 2.", calls=[ADD]),
        ),
        (
            "<|channel|>commentary<|message|>I add.<|end|><|start|>assistant<|channel|>commentary"
            ' to=functions.add<|constrain|>json<|message|>{"a": 1}<|call|>',
            Parsed(content="I add.", calls=[ADD]),
        ),
        (
            '<|channel|>commentary to=functions.add<|message|>{"a": ',
            Parsed(content='{"a": '),
        ),
        ("<|channel|>commentary to=functions.add<|message|>", Parsed()),
        ("<|channel|>analysis<|message|>It never ends", Parsed("It never ends")),
        ("<|channel|>analysis<|message|>cut<|en", Parsed("cut<|en")),
        (THOUGHT + "<|start|>assis", Parsed("Hm, 1 < 2.")),
        (
            "<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>Hello.",
            Parsed("Hm.", "Hello."),
        ),
        ("No header at all.", Parsed(content="No header at all.")),
        ("", Parsed()),
    ],
)
async def test_messages_in_any_pieces(text: str, parsed: Parsed) -> None:
    for parts in ways(text):
        assert await read(HarmonyReader(PROMPT, tools=True), parts) == parsed


async def test_without_tools_a_call_is_content() -> None:
    text = '<|channel|>commentary to=functions.add<|message|>{"a": 1}'
    parsed = await read(HarmonyReader(PROMPT, tools=False), [text])
    assert parsed == Parsed(content='{"a": 1}')


async def test_an_answer_that_the_request_began() -> None:
    reader = HarmonyReader(PROMPT + "<|channel|>final<|message|>Hel", tools=True)
    assert await read(reader, ["lo."]) == Parsed(content="lo.")
    reader = HarmonyReader(PROMPT + "<|channel|>analysis<|message|>H", tools=True)
    assert await read(reader, ["m.<|end|>" + FINAL]) == Parsed("m.", "Hello.")


@given(text=st.text("<|end>message ", max_size=40), sizes=cuts())
async def test_pieces_make_no_difference(text: str, sizes: list[int]) -> None:
    text = "<|channel|>analysis<|message|>" + text
    whole = await read(HarmonyReader(PROMPT, tools=True), [text])
    assert await read(HarmonyReader(PROMPT, tools=True), pieces(text, sizes)) == whole


@given(text=st.text("<|end>message start{", max_size=40), sizes=cuts())
async def test_pieces_make_no_difference_to_calls(text: str, sizes: list[int]) -> None:
    text = f"<|channel|>commentary to=functions.add<|message|>{text}<|call|><|start|>{text}"
    whole = await read(HarmonyReader(PROMPT, tools=True), [text])
    assert await read(HarmonyReader(PROMPT, tools=True), pieces(text, sizes)) == whole


@pytest.mark.parametrize("header", ["<|channel|>final", "to=functions.add<|message|>"])
async def test_what_is_long_is_not_searched_again_at_each_step(header: str) -> None:
    """Searched from its beginning at each step, this took ten seconds and more."""
    reader = HarmonyReader(PROMPT, tools=True)
    start = time.process_time()
    await read(reader, [header, *["<|e "] * 50_000])
    assert time.process_time() - start < 5.0


async def test_how_far_an_answer_is() -> None:
    reader = HarmonyReader(PROMPT, tools=True)
    steps = [
        ("<|channel|>anal", Thought.UNDECIDED),
        ("ysis<|message|>Hm", Thought.OPEN),
        ("<|end|>", Thought.UNDECIDED),
        ("<|start|>assistant<|channel|>final<|message|>", Thought.OVER),
    ]
    for text, thought in steps:
        await reader.feed(text)
        assert reader.thought is thought


@pytest.mark.parametrize(
    ("before", "header"),
    [
        ("", "<|channel|>final<|message|>"),
        ("<|channel|>final<|message|>So", "<|channel|>final<|message|>"),
        (THOUGHT, "<|start|>assistant<|channel|>final<|message|>"),
    ],
)
async def test_how_an_answer_in_a_format_begins(before: str, header: str) -> None:
    reader = HarmonyReader(PROMPT, tools=True)
    await reader.feed(before)
    assert reader.begin_answer() == header
    assert (await reader.feed("{}")).content == "{}"
    assert reader.thought is Thought.OVER
