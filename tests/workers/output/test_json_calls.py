import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.output.json_calls import (
    Call,
    Reading,
    ToolNames,
    arguments_text,
    read_json_calls,
)

NAMES = ToolNames(["get", "get_weather", "search-web"])
PARIS = Call("get_weather", '{"city": "Paris"}')
ROME = Call("get_weather", '{"city": "Rome"}')
ARGUMENTS = '{"city": "Paris"}'
OBJECT = f'{{"name": "get_weather", "arguments": {ARGUMENTS}}}'
SECOND = OBJECT.replace("Paris", "Rome")


@pytest.mark.parametrize(
    "block",
    [
        f"<tool_call>\n{OBJECT}\n</tool_call>",
        f"<tool_call>{OBJECT}",
        f"[TOOL_CALLS] [{OBJECT}]",
        f"<|calls|>{OBJECT}<|call_end|></s>",
        f"[TOOL_CALLS]get_weather{ARGUMENTS}",
        f"[TOOL_CALLS]get_weather[ARGS]{ARGUMENTS}",
        f"<function=get_weather>{ARGUMENTS}",
        f'{{"type": "function", "function": {OBJECT}}}',
        OBJECT.replace("arguments", "parameters"),
        f'{{"get_weather": {ARGUMENTS}}}',
        f'{{"tool_calls": [{OBJECT}]}}',
        '{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}',
        f"get get_weather\n```json\n{ARGUMENTS}\n```",
    ],
)
def test_one_call_in_many_forms(block: str) -> None:
    assert read_json_calls(block, NAMES) == Reading([PARIS])


@pytest.mark.parametrize(
    "block",
    [
        f"[{OBJECT}, {SECOND}]",
        f"{OBJECT}\n{SECOND}",
        f"{OBJECT}; {SECOND}",
        f'{{"tool_calls": [{OBJECT}, {SECOND}]}}',
        'get_weather{"city": "Paris"} get_weather{"city": "Rome"}',
    ],
)
def test_several_calls(block: str) -> None:
    assert read_json_calls(block, NAMES) == Reading([PARIS, ROME])


@pytest.mark.parametrize(
    "block",
    [
        '<tool_call>{"name": "unknown", "arguments": {"name": "get", "arguments": {}}}',
        f'<tool_call>{{"city": "Paris"}} {ARGUMENTS}</tool_call>',
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Par',
        '{"name": "get_weather", "arguments": [1]}',
        '{"name": "get_weather", "arguments": "Paris"}',
        '{"name": "get_weather", "arguments": {"city": NaN}}',
        '{"name": "get_weather", "arguments": {"city": "\\ud800"}}',
        "get_weather(city='Paris')",
        "forget_weather" + ARGUMENTS,
        "{" * 5000,
        '{"a":' * 5000,
        "",
    ],
)
def test_what_is_no_call_is_text(block: str) -> None:
    assert read_json_calls(block, NAMES) == Reading(rest=block)


def test_text_beside_calls_is_kept() -> None:
    reading = read_json_calls(f'{OBJECT} and {{"name": "unkn', NAMES)
    assert reading == Reading([PARIS], ' and {"name": "unkn')
    reading = read_json_calls(f'[{{"no": "call"}}, {OBJECT}]', NAMES)
    assert reading == Reading([PARIS], '[{"no": "call"}')


def test_arguments_that_are_named_like_a_call() -> None:
    block = 'get_weather{"name": "Paris"}'
    assert read_json_calls(block, NAMES).calls == [Call("get_weather", '{"name": "Paris"}')]


def test_a_call_without_arguments() -> None:
    assert read_json_calls('{"name": "get"}', NAMES).calls == [Call("get", "{}")]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"b": 1, "a": 2}, '{"b": 1, "a": 2}'),
        ('{"b": 1, "a": 2}', '{"b": 1, "a": 2}'),
        ({"é": 1.0}, '{"é": 1.0}'),
        ({"big": 2**70}, f'{{"big": {2**70}}}'),
        ({}, "{}"),
        (None, "{}"),
        (" ", "{}"),
        ("null", "{}"),
        ([], None),
        ("[]", None),
        ("{", None),
        (1, None),
        ({"a": float("nan")}, None),
        ({"a": "\ud800"}, None),
    ],
)
def test_arguments_are_an_object_in_its_own_order(arguments: Any, text: str | None) -> None:
    assert arguments_text(arguments) == text


@given(st.text('{}[]",:\\ getnamargus1', max_size=60))
def test_anything_can_be_read(block: str) -> None:
    reading = read_json_calls(block, NAMES)
    assert reading.calls or reading.rest == block


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("get get_weather", "get_weather"),
        ("get_weather get", "get"),
        ("a.get", "a.get"),
        ("a.get.it", "get.it"),
        ("get-it get_", None),
        ("", None),
    ],
)
def test_the_tool_that_is_named_last(text: str, name: str | None) -> None:
    assert ToolNames(["get", "get_weather", "a.get", "get.it"]).last_in(text) == name
    assert ToolNames([]).last_in(text) is None


def test_a_few_braces_before_a_call_do_no_harm() -> None:
    assert read_json_calls("{ " * 50 + OBJECT, NAMES) == Reading([PARIS])


@pytest.mark.parametrize(
    "block",
    [
        '{"a": "' + "{" * 200_000,
        "\n{" * 200_000,
        ('{"a": [' + "1, " * 300) * 900,
        OBJECT + "{" * 200_000,
    ],
)
def test_nonsense_is_read_in_no_time(block: str) -> None:
    start = time.process_time()
    reading = read_json_calls(block, NAMES)
    assert time.process_time() - start < 1.0
    assert reading.calls or reading.rest == block


def test_many_tools_and_many_objects_are_read_in_no_time() -> None:
    names = ToolNames(f"tool_{number}" for number in range(600))
    block = "".join(f'tool_{number}{{"a": {number}}} ' for number in range(2000))
    start = time.process_time()
    reading = read_json_calls(block, names)
    assert time.process_time() - start < 1.0
    assert reading.calls == [Call(f"tool_{each}", f'{{"a": {each}}}') for each in range(600)]
