"""What of an answer reaches the client: text, thoughts, tool calls, log probabilities."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Internal, PaddockError, WorkerLost
from gateway.ollama.answers import Encoder
from gateway.replies import json_line
from protos.paddock.v1 import generation_pb2
from tests.gateway.conftest import World

Delta = generation_pb2.Delta
HELLO = [{"role": "user", "content": "x"}]
GENERATE = {"model": "tiny", "prompt": "x"}
CHAT = {"model": "tiny", "messages": HELLO}
ENDPOINTS = [("/api/generate", GENERATE), ("/api/chat", CHAT)]
CREATED_AT = re.compile(r'(?<="created_at":")[-0-9T:.]+Z')
EVERY_BREAK = "a\nb\rc\r\nd\x00\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\x7f\ufeff😀\ufffd"


def call(
    name: str, arguments: str = "{}", identity: str = "call_12345678"
) -> generation_pb2.ToolCall:
    return generation_pb2.ToolCall(id=identity, name=name, arguments_json=arguments)


def logprob(token: str, value: float, *alternatives: generation_pb2.TokenLogprob) -> Any:
    return generation_pb2.TokenLogprob(
        token=token, logprob=value, token_bytes=token.encode(), alternatives=alternatives
    )


async def test_thoughts_are_streamed_apart_from_the_answer(world: World) -> None:
    world.backend.inference.script = [Delta(thinking="hm"), Delta(content="yes")]
    messages = [line["message"] for line in await world.lines("/api/chat", CHAT)]
    nothing = {"role": "assistant", "content": ""}
    assert messages == [nothing | {"thinking": "hm"}, nothing | {"content": "yes"}, nothing]
    first, second, last = await world.lines("/api/generate", GENERATE)
    assert (first["response"], first["thinking"]) == ("", "hm")
    assert second["response"] == "yes"
    assert "thinking" not in second.keys() | last.keys()


async def test_without_streaming_thoughts_and_answer_are_whole(world: World) -> None:
    parts = [Delta(thinking="h"), Delta(thinking="m", content="y"), Delta(content="es")]
    world.backend.inference.script = parts
    _, answer = await world.post("/api/chat", CHAT | {"stream": False})
    assert answer["message"] == {"role": "assistant", "content": "yes", "thinking": "hm"}
    _, answer = await world.post("/api/generate", GENERATE | {"stream": False})
    assert (answer["response"], answer["thinking"]) == ("yes", "hm")


async def test_tool_calls_are_objects_numbered_over_the_answer(world: World) -> None:
    world.backend.inference.script = [
        Delta(tool_calls=[call("f", '{"z": 1, "a": {"y": [], "b": null}}'), call("g")]),
        Delta(tool_calls=[call("f", '{\n"a":\n1}', identity="")]),
    ]
    first, second, last = await world.lines("/api/chat", CHAT)
    arguments = {"z": 1, "a": {"y": [], "b": None}}
    calls = [
        {"id": "call_12345678", "function": {"index": 0, "name": "f", "arguments": arguments}},
        {"id": "call_12345678", "function": {"index": 1, "name": "g", "arguments": {}}},
        {"function": {"index": 2, "name": "f", "arguments": {"a": 1}}},
    ]
    message = {"role": "assistant", "content": ""}
    assert first["message"] == message | {"tool_calls": calls[:2]}
    assert list(first["message"]["tool_calls"][0]["function"]["arguments"]) == ["z", "a"]
    assert second["message"] == message | {"tool_calls": calls[2:]}
    assert last["message"] == message
    assert last["done_reason"] == "stop"
    _, whole = await world.post("/api/chat", CHAT | {"stream": False})
    assert whole["message"] == message | {"tool_calls": calls}


@pytest.mark.parametrize("arguments", ["nonsense", "{", '{"a": }'])
async def test_a_malformed_call_ends_the_stream_with_an_error(world: World, arguments: str) -> None:
    world.backend.inference.script = [Delta(content="a"), Delta(tool_calls=[call("f", arguments)])]
    first, last = await world.lines("/api/chat", CHAT)
    assert first["message"]["content"] == "a"
    assert last.keys() == {"error"}
    assert "f" in last["error"]
    status, _ = await world.post("/api/chat", CHAT | {"stream": False})
    assert status == 500


@pytest.mark.parametrize("arguments", ['{"a": "\\ud83d"}', '{"a": 123456789012345678901234567890}'])
async def test_a_call_may_hold_what_json_does(world: World, arguments: str) -> None:
    world.backend.inference.script = [Delta(tool_calls=[call("f", arguments)])]
    status, whole = await world.post("/api/chat", CHAT | {"stream": False})
    assert status == 200
    assert whole["message"]["tool_calls"][0]["function"]["arguments"]["a"]


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
async def test_log_probabilities(world: World, path: str, body: dict[str, Any]) -> None:
    best = logprob("é", -0.5)
    ruled_out = logprob("", float("-inf"))
    world.backend.inference.script = [
        Delta(content="é", logprobs=[logprob("é", -0.5, best, ruled_out)]),
        Delta(logprobs=[logprob("held", -1.5)]),
        Delta(content="held back", logprobs=[logprob(" back", 0)]),
    ]
    *pieces, last = await world.lines(path, body)
    assert [piece["logprobs"] for piece in pieces] == [
        [
            {
                "token": "é",
                "logprob": -0.5,
                "bytes": [195, 169],
                "top_logprobs": [
                    {"token": "é", "logprob": -0.5, "bytes": [195, 169]},
                    {"token": "", "logprob": -9999.0},
                ],
            }
        ],
        [{"token": "held", "logprob": -1.5, "bytes": list(b"held")}],
        [{"token": " back", "logprob": 0, "bytes": list(b" back")}],
    ]
    assert "logprobs" not in last
    _, whole = await world.post(path, body | {"stream": False})
    assert whole["logprobs"] == [each for piece in pieces for each in piece["logprobs"]]


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
async def test_a_step_without_anything_to_show_makes_no_line(
    world: World, path: str, body: dict[str, Any]
) -> None:
    world.backend.inference.script = [Delta(), Delta(content="a"), Delta(), Delta()]
    only, last = await world.lines(path, body)
    assert (only["done"], last["done"]) == (False, True)


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
async def test_text_alone_has_the_same_lines_as_what_comes_with_more(
    world: World, path: str, body: dict[str, Any]
) -> None:
    texts = ['"text"', '"time"', EVERY_BREAK, "\\", "", " Bär 🐻 "]
    answers = []
    for tokens in ([1], [1, 2]):
        world.backend.inference.script = [
            Delta(content=text, tokens=tokens) for text in ("begin", *texts)
        ]
        async with world.http.post(path, json=body) as response:
            lines = (await response.text()).splitlines()
        answers.append([CREATED_AT.sub("", line, count=1) for line in lines[:-1]])
    assert answers[0] == answers[1]
    assert len(answers[0]) == len(texts)  # the empty one is left out, and one begins


@pytest.mark.parametrize("model", ["text", "time", '"text"', "é\u2028"])
def test_a_model_s_name_is_no_text(model: str) -> None:
    encoder = Encoder(model, lambda content, *_: {"response": content})
    line, chunk = json.loads(encoder.text_line("x")), encoder.chunk(Delta(content="x"))
    assert list(line) == list(chunk)
    assert line | {"created_at": chunk["created_at"]} == chunk


@pytest.mark.parametrize("failure", [Internal("the tool call could not be read"), WorkerLost()])
@pytest.mark.parametrize(
    "before", [Delta(thinking="hm"), Delta(tool_calls=[call("f")]), Delta(content="a")], ids=str
)
async def test_a_failure_after_the_first_piece_is_the_last_line(
    world: World, before: generation_pb2.Delta, failure: PaddockError
) -> None:
    world.backend.inference.script = [before, Delta(content="never")]
    world.backend.inference.fail_at = 1
    world.backend.inference.failure = failure
    _, last = await world.lines("/api/chat", CHAT)
    assert last == {"error": failure.message}
    assert await world.post("/api/chat", CHAT | {"stream": False}) == (
        failure.http_status,
        {"error": failure.message},
    )


async def test_an_official_client_reads_line_breaks_of_any_kind(world: World) -> None:
    world.backend.inference.script = [Delta(content=EVERY_BREAK, thinking=EVERY_BREAK)]
    stream = await world.ollama.chat("tiny", HELLO, stream=True)
    parts = [part.message async for part in stream]
    assert [(part.content, part.thinking) for part in parts] == [
        (EVERY_BREAK, EVERY_BREAK),
        ("", None),
    ]


@given(st.text(), st.text(alphabet="\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\u0000a😀"))
def test_any_text_is_one_line(text: str, breaks: str) -> None:
    value = {text: [breaks, text + breaks]}
    line = json_line(value).decode()
    assert line.splitlines(keepends=True) == [line]
    assert json.loads(line) == value
