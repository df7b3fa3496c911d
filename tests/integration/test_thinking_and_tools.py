"""Thinking and tool calls of the demo model, with the official Python client."""

import json
from typing import Any

import ollama
import pytest

GREEDY = {"temperature": 0}
PUZZLE = [{"role": "user", "content": "How many legs do 3 cats have?"}]
WEATHER = [{"role": "user", "content": "What is the weather today in Paris?"}]


def get_current_weather(location: str, format: str) -> str:  # noqa: A002
    """Get the current weather for a location.

    Args:
        location: The location to get the weather for, e.g. San Francisco, CA
        format: The format to return the weather in, e.g. 'celsius' or 'fahrenheit'
    """
    return f"22 degrees {format} and sunny in {location}"


def test_thoughts_come_before_the_answer_and_apart_from_it(client: ollama.Client) -> None:
    parts = [part.message for part in client.chat("demo", PUZZLE, stream=True, options=GREEDY)]
    thoughts = "".join(part.thinking or "" for part in parts)
    answer = "".join(part.content or "" for part in parts)
    assert "4 legs" in thoughts
    assert "12 legs" in answer
    assert "think>" not in thoughts + answer
    assert not answer.startswith(("\n", " "))
    assert not thoughts.startswith("\n")
    first_answer = next(number for number, part in enumerate(parts) if part.content)
    assert not any(part.thinking for part in parts[first_answer:])
    assert sum(bool(part.thinking) for part in parts) > 3
    whole = client.chat("demo", PUZZLE, think=True, options=GREEDY).message
    assert (whole.thinking, whole.content) == (thoughts, answer)


def test_no_thoughts_where_none_are_wanted(client: ollama.Client) -> None:
    message = client.chat("demo", PUZZLE, think=False, options=GREEDY).message
    assert message.thinking is None
    assert "12" in (message.content or "")
    generated = client.generate("demo", PUZZLE[0]["content"], think=False, options=GREEDY)
    assert not generated.thinking
    assert generated.response == message.content


def test_thinking_of_generate(client: ollama.Client) -> None:
    parts = list(client.generate("demo", PUZZLE[0]["content"], stream=True, options=GREEDY))
    assert "4 legs" in "".join(part.thinking or "" for part in parts)
    assert "12 legs" in "".join(part.response or "" for part in parts)


def test_an_answer_in_a_format_after_thoughts(client: ollama.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"legs": {"type": "integer"}},
        "required": ["legs"],
        "additionalProperties": False,
    }
    options = {**GREEDY, "num_predict": 200}
    message = client.chat("demo", PUZZLE, format=schema, think=True, options=options).message
    assert "4 legs" in (message.thinking or "")
    assert isinstance(json.loads(message.content or "")["legs"], int)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_result_told(client: ollama.Client, stream: bool) -> None:
    tools = [get_current_weather]
    if stream:
        parts = list(client.chat("demo", WEATHER, tools=tools, stream=True, options=GREEDY))
    else:
        parts = [client.chat("demo", WEATHER, tools=tools, options=GREEDY)]
    calls = [call for part in parts for call in part.message.tool_calls or ()]
    assert not any(part.message.content for part in parts)
    [call] = calls
    assert call.function.name == "get_current_weather"
    assert call.function.arguments == {"location": "Paris, FR", "format": "celsius"}
    assert parts[-1].done_reason == "stop"
    history: list[dict[str, Any]] = [
        *WEATHER,
        {"role": "assistant", "content": "", "tool_calls": [call.model_dump()]},
        {
            "role": "tool",
            "tool_name": call.function.name,
            "content": '{"temperature": 22, "unit": "celsius", "condition": "sunny"}',
        },
    ]
    answer = client.chat("demo", history, tools=tools, options=GREEDY).message
    assert "22" in (answer.content or "")
    assert not answer.tool_calls


def test_two_calls_of_one_answer_are_numbered(client: ollama.Client) -> None:
    question = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
    message = client.chat("demo", question, tools=[get_current_weather], options=GREEDY).message
    calls = message.model_dump()["tool_calls"]
    assert [call["function"]["arguments"]["location"] for call in calls] == [
        "Paris, FR",
        "Rome, IT",
    ]


def test_tools_are_not_called_without_need(client: ollama.Client) -> None:
    hello = [{"role": "user", "content": "Hello!"}]
    message = client.chat("demo", hello, tools=[get_current_weather], options=GREEDY).message
    assert message.content
    assert not message.tool_calls
