"""Requests as they arrive: routes, methods, and what counts as JSON."""

import asyncio
import json
from typing import Any

import pytest

from tests.gateway.conftest import MAX_BODY, World

PROMPT = {"model": "tiny", "prompt": "a", "stream": False}
HUGE = b"1" * 400
DEEP = b'{"a":' * 500 + b"1" + b"}" * 500


async def post_raw(world: World, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    async with world.http.post(path, data=body, headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
async def test_pages_for_everyone_answer_get_and_head(world: World, path: str, method: str) -> None:
    async with world.http.request(method, path) as response:
        assert response.status == 200
        assert bool(await response.read()) == (method == "GET")


async def test_the_root_says_what_clients_look_for(world: World) -> None:
    async with world.http.get("/") as response:
        assert await response.text() == "Ollama is running"
        assert response.content_type == "text/plain"
        assert response.headers["Server"].startswith("paddock/")


async def test_the_version_is_that_of_the_api(world: World) -> None:
    async with world.http.get("/api/version") as response:
        version = (await response.json())["version"]
    # VS Code's Copilot asks for this one at least.
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)


async def test_the_status_tells_that_there_is_no_cloud(world: World) -> None:
    async with world.http.get("/api/status") as response:
        assert await response.json() == {"cloud": {"disabled": True, "source": "config"}}


async def test_a_path_with_a_slash_behind_leads_to_the_one_without(world: World) -> None:
    async with world.http.get("/api/tags/", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (307, "/api/tags")
    body = PROMPT | {"model": "tiny"}
    async with world.http.post("/api/generate/", json=body) as response:
        assert (response.status, response.method) == (200, "POST")


@pytest.mark.parametrize(
    "path", ["/nope", "/api", "/api/me", "/api/signout", "/api/experimental/x", "/api/tags/"]
)
async def test_unknown_paths_are_404(world: World, path: str) -> None:
    async with world.http.post(path, data=b"{}") as response:
        assert response.status == 404
        assert await response.text() == "404 page not found"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/generate"),
        ("POST", "/api/tags"),
        ("POST", "/api/delete"),
        ("HEAD", "/api/ps"),
        ("HEAD", "/api/status"),
        ("HEAD", "/api/chat"),
        ("PUT", "/api/blobs/sha256:1"),
        ("GET", "/api/blobs/sha256:1"),
    ],
)
async def test_wrong_methods_are_405(world: World, method: str, path: str) -> None:
    async with world.http.request(method, path) as response:
        assert response.status == 405
        assert response.content_type == "text/plain"
        assert await response.text() == ("" if method == "HEAD" else "405 method not allowed")


@pytest.mark.parametrize("body", [b"", b" \r\n\t"])
@pytest.mark.parametrize(
    "path", ["generate", "chat", "show", "create", "copy", "embed", "embeddings"]
)
async def test_an_empty_body_is_missing(world: World, path: str, body: bytes) -> None:
    answer = await post_raw(world, f"/api/{path}", body)
    assert answer == (400, {"error": "missing request body"})


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"model": tiny}',
        b'{"model": NaN}',
        b"\xef\xbb\xbf{}",
        b'{"model": "\xff"}',
        b"[" * 100_000,
        b"[]",
        b'"tiny"',
        b"5",
        b'{"model": 5}',
        b'{"model": ["tiny"]}',
        b'{"model": "tiny", "prompt": 1}',
        b'{"model": "tiny", "prompt": "a", "stream": "false"}',
        b'{"model": "tiny", "prompt": "a", "stream": 1}',
        b'{"model": "tiny", "prompt": "a", "raw": "yes"}',
        b'{"model": "tiny", "prompt": "a", "options": []}',
        b'{"model": "tiny", "prompt": "a", "options": {"temperature": "hot"}}',
        b'{"model": "tiny", "prompt": "a", "keep_alive": "5"}',
        b'{"model": "tiny", "prompt": "a", "keep_alive": %b}' % HUGE,
        b'{"model": "tiny", "prompt": "a", "options": {"top_k": %b}}' % HUGE,
        b'{"model": "tiny", "prompt": "a", "options": {"temperature": -%b.5}}' % HUGE,
        b'{"model": "tiny", "prompt": "a", "unknown": 1e999}',
        b'{"model": "tiny", "prompt": "a", "format": %b}' % HUGE,
        b'{"model": "tiny", "prompt": "a", "format": {"maximum": %b}}' % HUGE,
        b'{"model": "tiny", "prompt": "a", "format": {"maximum": %b}}' % (10 * HUGE),
        b'{"model": "tiny", "prompt": "a", "format": %b}' % DEEP,
        b'{"model": "tiny", "prompt": "a", "format": [%b]}' % DEEP,
        b'{"model": "tiny", "prompt": "a", "keep_alive": true}',
        b'{"model": "tiny", "prompt": "a", "keep_alive": {}}',
        b'{"model": "tiny", "prompt": "a", "format": "xml"}',
        b'{"model": "tiny", "prompt": "a", "format": 5}',
    ],
)
async def test_malformed_bodies_are_400_with_a_text(world: World, body: bytes) -> None:
    status, answer = await post_raw(world, "/api/generate", body)
    assert status == 400
    assert answer["error"]
    assert not world.backend.inference.generated


@pytest.mark.parametrize("value", [b'{"a": %b}' % HUGE, DEEP])
async def test_values_that_cannot_be_passed_on_are_400(world: World, value: bytes) -> None:
    call = b'{"function": {"name": "f", "arguments": %b}}' % value
    chat = b'{"model": "tiny", "messages": [{"role": "assistant", "tool_calls": [%b]}]}' % call
    create = b'{"model": "new", "from": "tiny", "parameters": %b}' % value
    for path, body in (("/api/chat", chat), ("/api/create", create)):
        status, answer = await post_raw(world, path, body)
        assert status == 400
        assert answer["error"]


async def test_an_integer_of_more_than_64_bits_is_a_number_like_any_other(world: World) -> None:
    # The text after the object is what makes the lenient parser read it.
    for garbage in (b"", b" garbage"):
        body = b'{"model": "tiny", "prompt": "a", "stream": false, "format": {"maximum": %b}}'
        status, _ = await post_raw(world, "/api/generate", body % str(2**70).encode() + garbage)
        assert status == 200
        sent = world.backend.inference.generated.pop().generation.format
        assert json.loads(sent.json_schema) == {"maximum": 2**70}


async def test_a_null_body_is_an_empty_object(world: World) -> None:
    assert await post_raw(world, "/api/generate", b"null") == (
        404,
        {"error": "model '' not found"},
    )


async def test_only_the_first_json_value_is_read(world: World) -> None:
    body = json.dumps(PROMPT).encode() + b' {"model": "other"} garbage'
    status, answer = await post_raw(world, "/api/generate", body)
    assert (status, answer["model"]) == (200, "tiny")


async def test_half_a_surrogate_pair_is_replaced(world: World) -> None:
    body = b'{"model": "tiny", "prompt": "a\\ud83d", "stream": false}'
    status, answer = await post_raw(world, "/api/generate", body)
    assert (status, answer["response"]) == (200, "a\ufffd ")


async def test_keys_match_in_any_case_and_null_means_unset(world: World) -> None:
    body = {"MODEL": "tiny", "Prompt": "a b", "STREAM": False, "system": None, "unknown": 1}
    status, answer = await world.post("/api/generate", body)
    assert (status, answer["response"]) == (200, "a b ")
    message = {"Role": "USER", "CONTENT": "c"}
    await world.post("/api/chat", {"model": "tiny", "Messages": [message], "stream": False})
    sent = world.backend.inference.generated[-1].generation.chat.messages[0]
    assert (sent.role, sent.content) == ("user", "c")


async def test_the_content_type_is_not_looked_at(world: World) -> None:
    body = json.dumps(PROMPT).encode()
    for kind in ("application/x-www-form-urlencoded", "text/plain", "nonsense"):
        status, _ = await post_raw(world, "/api/generate", body, **{"Content-Type": kind})
        assert status == 200


async def test_a_body_over_the_limit_is_413(world: World) -> None:
    status, answer = await world.post("/api/generate", {"model": "tiny", "prompt": "x" * MAX_BODY})
    assert status == 413
    assert str(MAX_BODY) in answer["error"]


async def test_a_broken_chunk_is_not_our_defect(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\n")
    writer.write(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
    answer = await reader.read(1000)
    writer.close()
    assert answer.startswith(b"HTTP/1.0 400") or answer.startswith(b"HTTP/1.1 400")


async def test_a_body_that_does_not_decompress_is_400(world: World) -> None:
    async with asyncio.timeout(5):
        status, answer = await post_raw(
            world, "/api/generate", b"no gzip", **{"Content-Encoding": "gzip"}
        )
    assert (status, answer["error"]) == (400, "the request's body is damaged")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {}),
        ("/v1/messages", {}),
        ("/api/create", {"draft": {"a": "b"}}),
        ("/api/create", {"draft_quantize": "q4_0"}),
        ("/api/create", {"remote_host": "https://ollama.com"}),
    ],
)
async def test_what_is_not_offered_yet_is_501(
    world: World, path: str, body: dict[str, Any]
) -> None:
    status, answer = await world.post(path, {"model": "tiny", "prompt": "x", **body})
    assert status == 501
    assert "not supported yet" in answer["error"]
    assert not world.backend.registry.created


async def test_fields_not_offered_are_fine_when_they_ask_for_nothing(world: World) -> None:
    nothing: dict[str, Any] = {"quantize": "", "quantization": None, "draft": None}
    body = {"model": "new", "from": "tiny", "stream": False, **nothing}
    assert await world.post("/api/create", body) == (200, {"status": "success"})
