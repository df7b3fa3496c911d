import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.output.pieces import cuts, pieces, read, ways
from workers.output.blocks import Block
from workers.output.formats import tagged_tools
from workers.output.json_calls import Call, Reading, ToolNames, read_json_calls
from workers.output.parsed import Parsed
from workers.output.reader import TagReader
from workers.output.tool_calls import ToolCallSplitter

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
ADD = Call("add", '{"a": 1}')


async def as_json(block: Block) -> Reading:
    return read_json_calls(block.text, ToolNames(["add"]))


def reader(tag: str = "<tool_call>") -> TagReader:
    return TagReader(None, ToolCallSplitter(tagged_tools(tag).blocks, as_json))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("Hello.", Parsed(content="Hello.")),
        (" Hello. \n", Parsed(content=" Hello. \n")),
        (CALL, Parsed(calls=[ADD])),
        (f"\n\n{CALL}\n", Parsed(calls=[ADD])),
        (f"Let me see.\n\n{CALL}\n{CALL}\n", Parsed(content="Let me see.", calls=[ADD, ADD])),
        (f"{CALL}\nDone. \n", Parsed(content="Done. \n", calls=[ADD])),
        ("a <tool_ b", Parsed(content="a <tool_ b")),
        ("a <tool_call", Parsed(content="a <tool_call")),
        (CALL[:30], Parsed(content=CALL[:30])),
        (CALL + CALL[:30], Parsed(content=CALL[:30], calls=[ADD])),
        (CALL[:-12], Parsed(calls=[ADD])),
        (
            "So <tool_call>not JSON</tool_call> then",
            Parsed(content="So <tool_call>not JSON</tool_call> then"),
        ),
        (CALL.replace("add", "unknown"), Parsed(content=CALL.replace("add", "unknown"))),
    ],
)
async def test_calls_and_content_in_any_pieces(text: str, parsed: Parsed) -> None:
    for parts in ways(text):
        assert await read(reader(), parts) == parsed


@pytest.mark.parametrize(
    ("tag", "text", "parsed"),
    [
        ("{", '{"name": "add", "parameters": {"a": 1}}', Parsed(calls=[ADD])),
        ("{", '{"answer": 1}', Parsed(content='{"answer": 1}')),
        ("{", '{"name": "add", "parameters": {"a": 1}}' * 2, Parsed(calls=[ADD, ADD])),
        (
            "{",
            '{"name": "add", "parameters": {"a": 1}}; {"add": {"a": 1}}\nThere.',
            Parsed(content="There.", calls=[ADD, ADD]),
        ),
        ("[", '[see](here) {"name": "add"}', Parsed(content='[see](here) {"name": "add"}')),
        ("{", 'So {"name": "add"}', Parsed(content='So {"name": "add"}')),
        ("[TOOL_CALLS]", 'a [TOOL_CALLS]add{"a": 1}', Parsed(content="a", calls=[ADD])),
        ("<|tool|>", '<|tool|>{"name": "add", "arguments": {"a": 1}}', Parsed(calls=[ADD])),
    ],
)
async def test_other_tags(tag: str, text: str, parsed: Parsed) -> None:
    for parts in ways(text):
        assert await read(reader(tag), parts) == parsed


@given(text=st.text('<tool_call>/ \n{"name":d}', max_size=60), sizes=cuts())
async def test_pieces_make_no_difference(text: str, sizes: list[int]) -> None:
    assert await read(reader(), pieces(text, sizes)) == await read(reader(), [text])


async def test_a_call_comes_when_it_is_complete() -> None:
    stream = reader()
    assert (await stream.feed("Let me ")).content == "Let me"
    assert (await stream.feed("see.\n")).content == " see."
    for letter in CALL[:-1]:
        assert not await stream.feed(letter)
    assert await stream.feed(CALL[-1]) == Parsed(calls=[ADD])
    assert not await stream.feed("\n")
    assert not await stream.finish()
