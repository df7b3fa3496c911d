"""`/api/generate` and `/api/chat`: what is asked of the engine, what the client gets."""

import asyncio
import json
import re
from typing import Any

import pytest

from common.errors import Busy, CapabilityMissing, NoRoom, OutOfMemory, WorkerLost
from protos.paddock.v1 import generation_pb2
from tests.gateway.conftest import World

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


@pytest.mark.parametrize(("path", "body"), ENDPOINTS)
async def test_an_answer_streams_by_default(world: World, path: str, body: dict[str, Any]) -> None:
    *chunks, last = await world.lines(path, {"model": " tiny ", **body})
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


@pytest.mark.parametrize("delta", [None, generation_pb2.Delta()], ids=["words", "nothing"])
async def test_no_packet_goes_for_a_head_or_an_end_alone(
    world: World, delta: generation_pb2.Delta | None
) -> None:
    world.backend.inference.script = [delta] if delta else []
    content = json.dumps({"model": "tiny", "prompt": "one two three"}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(
        b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
        % (len(content), content)
    )
    received = [await reader.read(65536)]
    while not received[-1].endswith(b"\r\n0\r\n\r\n"):
        received.append(await reader.read(65536))
    writer.close()
    assert received[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert all(b'"done":' in packet for packet in received)


async def test_a_first_line_that_cannot_be_written_is_an_error(world: World) -> None:
    arguments = '{"a": ' + "[" * 300 + "]" * 300 + "}"  # deeper than JSON is written
    call = generation_pb2.ToolCall(name="dig", arguments_json=arguments)
    world.backend.inference.script = [generation_pb2.Delta(tool_calls=[call])]
    content = json.dumps({"model": "tiny", "messages": HELLO}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    for _ in range(2):  # on the same connection, which the first answer leaves in order
        writer.write(
            b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
            % (len(content), content)
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 500 ")
        [size] = re.findall(r"Content-Length: (\d+)", head)
        assert json.loads(await reader.readexactly(int(size))).keys() == {"error"}
    writer.close()


async def test_long_lines_pass(world: World) -> None:
    words = ["x" * 40_000, "y" * 50_000]
    body = {"model": "tiny", "prompt": " ".join(words)}
    answers = await world.lines("/api/generate", body)
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
        {"prompt": "x", "messages": HELLO, "_debug_render_only": True},
        {"prompt": "x", "messages": HELLO, "options": {"temperature": "hot"}},
        {"prompt": "x", "messages": HELLO, "format": "xml"},
        {"prompt": "x", "messages": HELLO, "format": "xml", "raw": True, "system": "s"},
        {"options": {"temperature": "hot"}},
    ],
    ids=str,
)
async def test_names_that_are_wrong(
    world: World, path: str, model: str, status: int, text: str, rest: dict[str, Any]
) -> None:
    assert await world.post(path, {"model": model, **rest}) == (status, {"error": text})


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
    first, last = await world.lines("/api/chat", {"model": "tiny", "messages": HELLO})
    assert text_of(first) == "one "
    assert last == {"error": WorkerLost().message}


async def test_a_failure_later_without_streaming_has_its_status(world: World) -> None:
    world.backend.inference.fail_at = 1
    world.backend.inference.failure = WorkerLost()
    answer = await world.post("/api/chat", {"model": "tiny", "messages": HELLO, "stream": False})
    assert answer == (500, {"error": WorkerLost().message})


async def test_a_service_that_is_gone_is_503(world: World) -> None:
    await world.backend.server.stop(0)
    status, answer = await world.post("/api/chat", {"model": "tiny", "messages": HELLO})
    assert status == 503
    assert answer["error"]
