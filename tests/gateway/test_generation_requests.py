"""`/api/generate` and `/api/chat`: what becomes of a request's fields."""

import json
from typing import Any

import pytest

from common.durations import FOREVER, SECOND
from common.errors import InvalidRequest
from gateway.ollama.chat import ChatBody
from gateway.ollama.generate import GenerateBody
from gateway.ollama.generation import GenerationBody
from protos.paddock.v1 import generation_pb2, inference_pb2
from tests.gateway.conftest import World

HELLO = [{"role": "user", "content": "x"}]
ENDPOINTS: list[tuple[str, dict[str, Any]]] = [
    ("/api/generate", {"prompt": "x"}),
    ("/api/chat", {"messages": HELLO}),
]
BODIES: dict[str, type[GenerationBody]] = {"/api/generate": GenerateBody, "/api/chat": ChatBody}
RAW_ERROR = "raw mode does not support template, system, or context"
THINK_CHOICES = '"high", "medium", "low", "max", true, or false'
SCHEMA = {
    "type": "object",
    "$defs": {"a": {}},
    "properties": {
        "Where": {"type": ["string", "null"], "description": "a place", "default": "here"},
        "when": {"anyOf": [{"type": "integer"}, {"enum": [1, "now", None]}], "minimum": 0},
        "what": {"type": "array", "items": {"type": "object", "required": ["a"]}},
        "nested": {"type": "object", "properties": {"b": {"type": "string"}}},
    },
    "required": ["Where"],
}
TOOL = {
    "type": "function",
    "strict": True,
    "function": {"name": "f", "description": "does", "parameters": SCHEMA},
}


def asked(path: str, body: dict[str, Any]) -> inference_pb2.GenerateRequest:
    """Read a request; give what inference is asked for."""
    return BODIES[path].parse(json.dumps({"model": "tiny", **body}).encode()).to_proto()


def sent(path: str, body: dict[str, Any]) -> generation_pb2.Generation:
    """Read a request; give what is to be generated."""
    return asked(path, body).generation


def refused(path: str, body: dict[str, Any]) -> str:
    """Read a request that is wrong; give the text that says so."""
    with pytest.raises(InvalidRequest) as caught:
        asked(path, body)
    return caught.value.message


def test_a_generate_request_is_translated() -> None:
    body = {
        "model": " Tiny:LOCAL ",
        "prompt": "x",
        "suffix": "z",
        "system": "be brief",
        "template": "{{ .Prompt }}",
        "context": [1, 2],
        "images": ["aGk=", "aG\r\nk="],
        "options": {"temperature": 0, "stop": ["a", "b"], "num_predict": 5, "nonsense": 1},
        "keep_alive": "1h",
        "format": {"type": "object", "b": 1, "a": 2},
        "think": False,
        "logprobs": True,
        "top_logprobs": 20,
        "truncate": False,
        "shift": False,
    }
    request = asked("/api/generate", body)
    assert request.model == "Tiny:LOCAL"
    assert request.keep_alive == 3600 * SECOND
    completion = generation_pb2.Completion(
        prompt="x", suffix="z", system="be brief", context=[1, 2], images=[b"hi", b"hi"]
    )
    assert request.generation == generation_pb2.Generation(
        completion=completion,
        template="{{ .Prompt }}",
        options=generation_pb2.Options(temperature=0, stop=["a", "b"], num_predict=5),
        format=generation_pb2.Format(json_schema='{"type":"object","b":1,"a":2}'),
        think=generation_pb2.THINK_OFF,
        logprobs=20,
        truncate=False,
        shift=False,
    )


def test_a_chat_request_is_translated() -> None:
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "f", "arguments": {"b": 1, "a": [2]}},
    }
    messages = [
        {"role": "System", "content": "s"},
        {"role": "user", "content": None, "images": ["aGk="]},
        {"role": "assistant", "thinking": "hm", "tool_calls": [call]},
        {"role": "tool", "tool_name": "f", "tool_call_id": "1", "content": "r"},
        {"role": "Narrator", "content": "n"},
    ]
    body = {"messages": messages, "format": "json", "keep_alive": -1, "template": "t"}
    request = asked("/api/chat", body)
    assert request.keep_alive == FOREVER
    called = generation_pb2.ToolCall(id="1", name="f", arguments_json='{"b":1,"a":[2]}')
    expected = [
        generation_pb2.Message(role="system", content="s"),
        generation_pb2.Message(role="user", images=[b"hi"]),
        generation_pb2.Message(role="assistant", thinking="hm", tool_calls=[called]),
        generation_pb2.Message(role="tool", content="r", tool_name="f", tool_call_id="1"),
        generation_pb2.Message(role="narrator", content="n"),
    ]
    assert request.generation == generation_pb2.Generation(
        chat=generation_pb2.Chat(messages=expected),
        options=generation_pb2.Options(),
        format=generation_pb2.Format(json=True),
        template="t",
    )


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
def test_what_is_not_asked_for_stays_unset(path: str, body: dict[str, Any]) -> None:
    plain = sent(path, body)
    assert len(plain.ListFields()) == 2  # the input and the options
    nulls = dict.fromkeys(("think", "context", "truncate", "format", "options", "keep_alive"))
    empty = dict.fromkeys(("template", "suffix", "system", "format"), "")
    assert sent(path, {**body, **nulls, **empty, "images": [], "tools": []}) == plain
    assert sent(path, {**body, "logprobs": False, "top_logprobs": 5}) == plain


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
@pytest.mark.parametrize(
    ("value", "think"),
    [
        (True, generation_pb2.THINK_ON),
        (False, generation_pb2.THINK_OFF),
        ("low", generation_pb2.THINK_LOW),
        ("medium", generation_pb2.THINK_MEDIUM),
        ("high", generation_pb2.THINK_HIGH),
        ("max", generation_pb2.THINK_MAX),
    ],
)
def test_thinking(path: str, body: dict[str, Any], value: object, think: int) -> None:
    assert sent(path, body | {"think": value}).think == think


@pytest.mark.parametrize(("path", "body"), [*ENDPOINTS, ("/api/chat", {})])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("hard", f'invalid think value: "hard" (must be {THINK_CHOICES})'),
        ("High", f'invalid think value: "High" (must be {THINK_CHOICES})'),
        (1, f"think must be a boolean or string ({THINK_CHOICES})"),
        ([True], f"think must be a boolean or string ({THINK_CHOICES})"),
    ],
)
def test_thinking_of_another_kind(
    path: str, body: dict[str, Any], value: object, text: str
) -> None:
    assert refused(path, body | {"think": value}) == text


@pytest.mark.parametrize("model", ["tiny", "nope", ""])
async def test_alternatives_are_counted_before_the_model_is_looked_for(
    world: World, model: str
) -> None:
    for path, body in ENDPOINTS:
        answer = await world.post(path, {**body, "model": model, "top_logprobs": 21})
        assert answer == (400, {"error": "top_logprobs must be between 0 and 20"})


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
@pytest.mark.parametrize("value", [-1, 21, 1000])
def test_too_many_alternatives(path: str, body: dict[str, Any], value: int) -> None:
    text = "top_logprobs must be between 0 and 20"
    assert refused(path, body | {"top_logprobs": value}) == text


def test_an_empty_system_does_not_replace_the_models_own() -> None:
    generation = sent("/api/generate", {"prompt": "x", "system": ""})
    assert not generation.completion.HasField("system")


@pytest.mark.parametrize(
    "more", [{"system": "s"}, {"template": "t"}, {"context": [1]}, {"prompt": "", "system": "s"}]
)
def test_a_raw_prompt_comes_alone(more: dict[str, Any]) -> None:
    body = {"prompt": "x", "raw": True, **more}
    assert refused("/api/generate", body) == RAW_ERROR


def test_a_raw_prompt_may_come_with_images() -> None:
    body = {"prompt": "x", "raw": True, "images": ["aGk="]}
    assert sent("/api/generate", body).completion.raw


@pytest.mark.parametrize("value", [[1.5], ["1"], [-1], [2**31], [None], "1", {}])
def test_a_context_is_a_list_of_tokens(value: object) -> None:
    assert refused("/api/generate", {"prompt": "x", "context": value})


@pytest.mark.parametrize("value", ["xml", [], 5])
def test_a_wrong_format_is_named(value: object) -> None:
    text = f'invalid format: {json.dumps(value)}; expected "json" or a valid JSON Schema object'
    assert refused("/api/generate", {"prompt": "x", "format": value}) == text


@pytest.mark.parametrize("image", ["data:image/png;base64,aGk=", "aGk", "a-_=", 5, ["aGk="]])
def test_an_image_that_is_no_base64(image: object) -> None:
    message = {"role": "user", "content": "x", "images": [image]}
    text = refused("/api/chat", {"messages": [message]})
    assert text == refused("/api/generate", {"prompt": "x", "images": [image]})


def test_tools_pass_as_they_are() -> None:
    bare = {"function": {"name": "g", "parameters": None}}
    generation = sent("/api/chat", {"messages": HELLO, "tools": [TOOL, bare]})
    expected = [json.dumps(tool, separators=(",", ":")) for tool in (TOOL, bare)]
    assert list(generation.chat.tools_json) == expected


@pytest.mark.parametrize(
    "tools",
    [
        {},
        "f",
        ["f"],
        [5],
        [{}],
        [{"type": "function"}],
        [{"function": {}}],
        [{"function": {"name": 5}}],
        [{"function": {"name": "f", "description": 5}}],
        [{"function": {"name": "f", "parameters": []}}],
        [{"function": {"name": "f", "parameters": {"type": 5}}}],
        [{"function": {"name": "f", "parameters": {"required": True}}}],
        [{"function": {"name": "f", "parameters": {"properties": ["a"]}}}],
        [{"function": {"name": "f", "parameters": {"properties": {"a": {"type": {}}}}}}],
        [{"function": {"name": "f", "parameters": {"properties": {"a": {"anyOf": "b"}}}}}],
        [{"function": {"name": "f", "parameters": {"properties": {"a": {"enum": "b"}}}}}],
    ],
    ids=str,
)
@pytest.mark.parametrize("messages", [HELLO, []])
def test_tools_of_another_shape(tools: object, messages: object) -> None:
    assert refused("/api/chat", {"messages": messages, "tools": tools})


def test_a_tool_that_is_nested_too_deeply() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(200):
        schema = {"type": "object", "properties": {"a": schema}}
    tool = {"function": {"name": "f", "parameters": schema}}
    assert refused("/api/chat", {"messages": HELLO, "tools": [tool]})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "{}"),
        (None, "{}"),
        ("", "{}"),
        ("{}", "{}"),
        ('{"z": 1, "a": {"y": [2]}}', '{"z":1,"a":{"y":[2]}}'),
    ],
)
def test_arguments_of_earlier_calls(arguments: object, expected: str) -> None:
    call = {"function": {"name": "f", "arguments": arguments}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    generation = sent("/api/chat", {"messages": [message]})
    assert generation.chat.messages[0].tool_calls[0].arguments_json == expected


@pytest.mark.parametrize("arguments", ["nonsense", "[1]", "5", [1], 5, True])
def test_arguments_that_are_no_object(arguments: object) -> None:
    call = {"function": {"name": "f", "arguments": arguments}}
    message = {"role": "assistant", "tool_calls": [call]}
    assert refused("/api/chat", {"messages": [message]})


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        {"role": 5},
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {"role": "user", "images": "aGk="},
        {"role": "assistant", "tool_calls": {}},
        {"role": "assistant", "tool_calls": ["f"]},
    ],
    ids=str,
)
def test_messages_of_another_shape(message: object) -> None:
    assert refused("/api/chat", {"messages": [message]})
