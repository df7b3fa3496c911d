"""`/api/generate` and `/api/chat` where nothing is generated: load, unload, show the prompt."""

import re
from typing import Any

import pytest

from common.durations import FOREVER, SECOND
from common.errors import CapabilityMissing, InvalidRequest
from protos.paddock.v1 import generation_pb2
from tests.gateway.conftest import World

HELLO = [{"role": "user", "content": "x"}]
NOTHING = {"role": "assistant", "content": ""}
TOOL = {"type": "function", "function": {"name": "f"}}


def without_time(answer: dict[str, Any]) -> dict[str, Any]:
    assert re.match(r"\d{4}-\d\d-\d\dT", answer.pop("created_at"))
    return answer


@pytest.mark.parametrize(
    ("body", "keep_alive"),
    [
        ({}, None),
        ({"keep_alive": None}, None),
        ({"keep_alive": 5}, 5 * SECOND),
        ({"keep_alive": 0.5}, SECOND // 2),
        ({"keep_alive": "1h30m"}, 5400 * SECOND),
        ({"keep_alive": -1}, FOREVER),
        ({"keep_alive": "-1m"}, FOREVER),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("path", "empty", "shown"),
    [
        ("/api/generate", {}, {"response": ""}),
        ("/api/generate", {"prompt": "", "stream": False}, {"response": ""}),
        ("/api/chat", {"messages": []}, {"message": NOTHING}),
        ("/api/chat", {"_debug_render_only": True}, {"message": NOTHING}),
    ],
)
async def test_without_a_prompt_the_model_is_loaded(
    world: World,
    path: str,
    empty: dict[str, Any],
    shown: dict[str, Any],
    body: dict[str, Any],
    keep_alive: int | None,
) -> None:
    async with world.http.post(path, json={"model": " tiny ", **empty, **body}) as response:
        assert response.content_type == "application/json"
        answer = without_time(await response.json())
    assert answer == {"model": " tiny ", **shown, "done": True, "done_reason": "load"}
    (loaded,) = world.backend.inference.loaded
    assert loaded.model == "tiny"
    assert (loaded.keep_alive if loaded.HasField("keep_alive") else None) == keep_alive


async def test_a_model_is_loaded_for_what_the_request_asks(world: World) -> None:
    await world.post("/api/generate", {"model": "tiny", "think": True, "suffix": "x"})
    await world.post("/api/chat", {"model": "tiny", "tools": [TOOL]})
    generate, chat = (loaded.generation for loaded in world.backend.inference.loaded)
    assert generate.think == generation_pb2.THINK_ON
    assert generate.completion.suffix == "x"
    assert len(chat.chat.tools_json) == 1


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
async def test_a_model_that_cannot_do_it_is_not_loaded(world: World, path: str) -> None:
    world.backend.inference.fail_at = 0
    world.backend.inference.failure = CapabilityMissing('"tiny" does not support this')
    answer = await world.post(path, {"model": "tiny"})
    assert answer == (400, {"error": '"tiny" does not support this'})


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
async def test_of_a_mere_load_the_format_is_not_looked_at(world: World, path: str) -> None:
    status, answer = await world.post(path, {"model": "tiny", "format": "xml"})
    assert (status, answer["done_reason"]) == (200, "load")


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
async def test_of_a_load_the_options_are_looked_at(world: World, path: str) -> None:
    status, answer = await world.post(path, {"model": "tiny", "options": {"top_k": "x"}})
    assert (status, answer["error"]) == (400, 'option "top_k" must be of type integer')


@pytest.mark.parametrize("zero", [0, "0", "0s", 0.0])
@pytest.mark.parametrize(
    "rest", [{}, {"stream": True}, {"options": {"top_k": "x"}, "raw": True, "system": "s"}]
)
@pytest.mark.parametrize(
    ("path", "shown"),
    [("/api/generate", {"response": ""}), ("/api/chat", {"message": NOTHING})],
)
async def test_keep_alive_zero_without_a_prompt_unloads(
    world: World, path: str, shown: dict[str, Any], zero: object, rest: dict[str, Any]
) -> None:
    status, answer = await world.post(path, {"model": "tiny", "keep_alive": zero, **rest})
    assert status == 200
    assert without_time(answer) == {
        "model": "tiny",
        **shown,
        "done": True,
        "done_reason": "unload",
    }
    assert world.backend.inference.unloaded == ["tiny"]
    assert not world.backend.inference.loaded


async def test_keep_alive_zero_with_a_prompt_goes_with_it(world: World) -> None:
    body = {"model": "tiny", "prompt": "x", "keep_alive": 0, "stream": False}
    status, answer = await world.post("/api/generate", body)
    assert (status, answer["response"]) == (200, "x ")
    (sent,) = world.backend.inference.generated
    assert sent.HasField("keep_alive")
    assert sent.keep_alive == 0
    assert not world.backend.inference.unloaded


@pytest.mark.parametrize("stream", [True, False])
async def test_the_prompt_is_shown_in_place_of_an_answer(world: World, stream: bool) -> None:
    body = {"model": "tiny", "prompt": "x", "_debug_render_only": True, "stream": stream}
    async with world.http.post("/api/generate", json=body | {"images": ["aGk="]}) as response:
        assert response.content_type == "application/json"
        answer = without_time(await response.json())
    shown = {"rendered_template": "<prompt>", "image_count": 1}
    assert answer == {"model": "tiny", "response": "", "done": False, "_debug_info": shown}
    chat = {"model": "tiny", "messages": HELLO, "_debug_render_only": True, "tools": [TOOL]}
    status, answer = await world.post("/api/chat", chat)
    assert status == 200
    assert answer["_debug_info"] == {"rendered_template": "<prompt>"}
    assert [
        len(request.generation.chat.tools_json) for request in world.backend.inference.rendered
    ] == [0, 1]
    assert not world.backend.inference.generated


async def test_a_prompt_that_cannot_be_rendered(world: World) -> None:
    world.backend.inference.fail_at = 0
    world.backend.inference.failure = InvalidRequest("template: :1: unexpected EOF")
    body = {"model": "tiny", "prompt": "x", "template": "{{", "_debug_render_only": True}
    answer = await world.post("/api/generate", body)
    assert answer == (400, {"error": "template: :1: unexpected EOF"})
