"""`/api/generate` and `/api/chat`: what is asked of the engine, what the client gets."""

import json
import re
from typing import Any

import pytest

from common.durations import FOREVER, SECOND
from common.errors import Busy, CapabilityMissing, NoRoom, OutOfMemory, WorkerLost
from protos.paddock.v1 import generation_pb2
from tests.gateway.conftest import STREAM_BUFFER, World

HELLO = [{"role": "user", "content": "one two"}]
ENDPOINTS = [
    ("/api/generate", {"prompt": "one two"}),
    ("/api/chat", {"messages": HELLO}),
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
METRICS = {
    "total_duration": 1000,
    "prompt_eval_count": 4,
    "prompt_eval_duration": 10,
    "eval_count": 2,
    "eval_duration": 20,
}


def text_of(answer: dict[str, Any]) -> str:
    content = answer["response"] if "response" in answer else answer["message"]["content"]
    assert isinstance(content, str)
    return content


async def lines(world: World, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    async with world.http.post(path, json=body) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/x-ndjson"
        content = await response.text()
    assert content.endswith("\n")
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
async def test_an_answer_streams_by_default(world: World, path: str, body: dict[str, Any]) -> None:
    *chunks, last = await lines(world, path, {"model": " tiny ", **body})
    assert [text_of(chunk) for chunk in chunks] == ["one ", "two "]
    assert [chunk["done"] for chunk in chunks] == [False, False]
    assert last["done"] is True
    assert last["done_reason"] == "stop"
    assert text_of(last) == ""
    assert METRICS.items() <= last.items()
    assert "load_duration" not in last
    for line in (*chunks, last):
        assert line["model"] == " tiny "
        assert TIME.fullmatch(line["created_at"])


async def test_lines_longer_than_the_buffer_pass(world: World) -> None:
    words = ["x" * (2 * STREAM_BUFFER), "y" * (3 * STREAM_BUFFER)]
    body = {"model": "tiny", "prompt": " ".join(words)}
    answers = await lines(world, "/api/generate", body)
    assert [text_of(answer).strip() for answer in answers] == [*words, ""]


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
async def test_without_streaming_the_answer_is_one_object(
    world: World, path: str, body: dict[str, Any]
) -> None:
    async with world.http.post(path, json={"model": "tiny", "stream": False, **body}) as response:
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        answer = await response.json()
    assert text_of(answer) == "one two "
    assert METRICS.items() <= answer.items()


async def test_a_context_comes_with_generate_alone_and_not_when_raw(world: World) -> None:
    plain = {"model": "tiny", "prompt": "x", "stream": False}
    _, generated = await world.post("/api/generate", plain)
    assert generated["context"] == [1, 2, 3]
    _, raw = await world.post("/api/generate", plain | {"raw": True})
    assert "context" not in raw
    _, chat = await world.post("/api/chat", {"model": "tiny", "messages": HELLO, "stream": False})
    assert "context" not in chat


async def test_a_generate_request_is_translated(world: World) -> None:
    body = {
        "model": " Tiny:LOCAL ",
        "prompt": "x",
        "system": "be brief",
        "options": {"temperature": 0, "stop": ["a", "b"], "num_predict": 5, "nonsense": 1},
        "keep_alive": "1h",
        "format": {"type": "object", "b": 1, "a": 2},
        "think": False,
        "stream": False,
    }
    status, answer = await world.post("/api/generate", body)
    assert (status, answer["model"]) == (200, " Tiny:LOCAL ")
    (sent,) = world.backend.inference.generated
    assert sent.model == "Tiny:LOCAL"
    assert sent.keep_alive == 3600 * SECOND
    generation = sent.generation
    assert generation.completion == generation_pb2.Completion(prompt="x", system="be brief")
    assert generation.options == generation_pb2.Options(
        temperature=0, stop=["a", "b"], num_predict=5
    )
    assert generation.format.json_schema == '{"type":"object","b":1,"a":2}'
    assert generation.think == generation_pb2.THINK_OFF


async def test_an_empty_system_does_not_replace_the_models_own(world: World) -> None:
    await world.post(
        "/api/generate", {"model": "tiny", "prompt": "x", "system": "", "stream": False}
    )
    assert not world.backend.inference.generated[0].generation.completion.HasField("system")


async def test_a_chat_request_is_translated(world: World) -> None:
    call = {"function": {"name": "f", "arguments": {"b": 1, "a": [2]}}}
    body = {
        "model": "tiny",
        "messages": [
            {"role": "System", "content": "s"},
            {"role": "assistant", "thinking": "hm", "tool_calls": [call]},
            {"role": "tool", "tool_name": "f", "tool_call_id": "1", "content": "r"},
        ],
        "format": "json",
        "keep_alive": -1,
        "stream": False,
    }
    status, _ = await world.post("/api/chat", body)
    assert status == 200
    sent = world.backend.inference.generated[0]
    assert sent.keep_alive == FOREVER
    assert sent.generation.format.json
    assert sent.generation.think == generation_pb2.THINK_UNSPECIFIED
    called = generation_pb2.ToolCall(name="f", arguments_json='{"b":1,"a":[2]}')
    assert list(sent.generation.chat.messages) == [
        generation_pb2.Message(role="system", content="s"),
        generation_pb2.Message(role="assistant", thinking="hm", tool_calls=[called]),
        generation_pb2.Message(role="tool", content="r", tool_name="f", tool_call_id="1"),
    ]


@pytest.mark.parametrize(
    ("body", "keep_alive"),
    [({}, None), ({"keep_alive": 5}, 5 * SECOND), ({"keep_alive": "-1m"}, FOREVER)],
)
@pytest.mark.parametrize(
    ("path", "empty"),
    [("/api/generate", {}), ("/api/generate", {"prompt": ""}), ("/api/chat", {"messages": []})],
)
async def test_without_a_prompt_the_model_is_loaded(
    world: World, path: str, empty: dict[str, Any], body: dict[str, Any], keep_alive: int | None
) -> None:
    async with world.http.post(path, json={"model": "tiny", **empty, **body}) as response:
        assert response.content_type == "application/json"
        answer = await response.json()
    assert (answer["done"], answer["done_reason"]) == (True, "load")
    if path == "/api/chat":
        assert answer["message"] == {"role": "assistant", "content": ""}
    assert text_of(answer) == ""
    (loaded,) = world.backend.inference.loaded
    assert (loaded.keep_alive if loaded.HasField("keep_alive") else None) == keep_alive


@pytest.mark.parametrize("zero", [0, "0", "0s", 0.0])
@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
async def test_keep_alive_zero_without_a_prompt_unloads(
    world: World, path: str, zero: object
) -> None:
    status, answer = await world.post(path, {"model": "tiny", "keep_alive": zero})
    assert (status, answer["done_reason"]) == (200, "unload")
    assert world.backend.inference.unloaded == ["tiny"]


@pytest.mark.parametrize(
    ("path", "model", "status", "text"),
    [
        ("/api/generate", "", 404, "model '' not found"),
        ("/api/generate", "a b", 400, "invalid model name"),
        ("/api/generate", "nope:x", 404, "model 'nope:x' not found"),
        ("/api/chat", "", 400, "model is required"),
        ("/api/chat", "a//b", 400, "invalid model name"),
        ("/api/chat", "nope", 404, "model 'nope' not found"),
    ],
)
@pytest.mark.parametrize(
    "rest",
    [
        {"prompt": "x", "messages": HELLO},
        {"prompt": "x", "messages": HELLO, "stream": False},
        {"keep_alive": 0},
        {},
    ],
)
async def test_names_that_are_wrong(
    world: World, path: str, model: str, status: int, text: str, rest: dict[str, Any]
) -> None:
    assert await world.post(path, {"model": model, **rest}) == (status, {"error": text})


async def test_raw_mode_has_no_system(world: World) -> None:
    body = {"model": "tiny", "prompt": "x", "raw": True, "system": "s"}
    text = "raw mode does not support template, system, or context"
    assert await world.post("/api/generate", body) == (400, {"error": text})


@pytest.mark.parametrize("value", ["xml", [], 5])
async def test_a_wrong_format_is_named(world: World, value: object) -> None:
    status, answer = await world.post(
        "/api/generate", {"model": "tiny", "prompt": "x", "format": value}
    )
    shown = json.dumps(value)
    text = f'invalid format: {shown}; expected "json" or a valid JSON Schema object'
    assert (status, answer) == (400, {"error": text})


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Busy("server busy, please try again.  maximum pending requests exceeded"), 503),
        (NoRoom("no room"), 503),
        (OutOfMemory("too large"), 500),
        (CapabilityMissing('"tiny" does not support chat'), 400),
        (WorkerLost(), 500),
    ],
)
async def test_a_failure_before_the_first_word_has_its_own_status(
    world: World, failure: Any, status: int, stream: bool
) -> None:
    world.backend.inference.fail_at = 0
    world.backend.inference.failure = failure
    body = {"model": "tiny", "messages": HELLO, "stream": stream}
    async with world.http.post("/api/chat", json=body) as response:
        assert response.status == status
        assert await response.json() == {"error": failure.message}
        assert ("Retry-After" in response.headers) == (status == 503)


async def test_a_failure_later_is_the_last_line(world: World) -> None:
    world.backend.inference.fail_at = 1
    world.backend.inference.failure = WorkerLost()
    first, last = await lines(world, "/api/chat", {"model": "tiny", "messages": HELLO})
    assert text_of(first) == "one "
    assert last == {"error": WorkerLost().message}


async def test_a_failure_later_without_streaming_has_its_status(world: World) -> None:
    world.backend.inference.fail_at = 1
    world.backend.inference.failure = WorkerLost()
    answer = await world.post("/api/chat", {"model": "tiny", "messages": HELLO, "stream": False})
    assert answer == (500, {"error": WorkerLost().message})


async def test_an_answer_that_just_stops_is_an_error(world: World) -> None:
    world.backend.inference.silent = True
    *_, last = await lines(world, "/api/chat", {"model": "tiny", "messages": HELLO})
    assert "error" in last


async def test_a_service_that_is_gone_is_503(world: World) -> None:
    await world.backend.server.stop(0)
    status, answer = await world.post("/api/chat", {"model": "tiny", "messages": HELLO})
    assert status == 503
    assert answer["error"]
