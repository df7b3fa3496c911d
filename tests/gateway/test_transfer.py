"""`/api/pull` and `/api/push`."""

from typing import Any

import pytest

from tests.gateway.conftest import World


async def test_pull_reports_each_step(world: World) -> None:
    assert await world.lines("/api/pull", {"model": "x"}) == [
        {"status": "pulling manifest"},
        {"status": "pulling abc", "digest": "sha256:abc", "total": 10},
        {"status": "pulling abc", "digest": "sha256:abc", "total": 10, "completed": 10},
        {"status": "success"},
    ]


async def test_pull_without_streaming_gives_the_last_step(world: World) -> None:
    body = {"name": " x ", "insecure": True, "stream": False, "username": "a", "password": "b"}
    assert await world.post("/api/pull", body) == (200, {"status": "success"})
    (sent,) = world.backend.registry.pulled
    assert (sent.model, sent.insecure) == ("x", True)


async def test_a_model_that_no_registry_has_is_an_error_line(world: World) -> None:
    error = {"error": "pull model manifest: file does not exist"}
    assert await world.lines("/api/pull", {"model": "none"}) == [
        {"status": "pulling manifest"},
        error,
    ]
    body = {"model": "none", "stream": False}
    assert await world.post("/api/pull", body) == (500, error)


@pytest.mark.parametrize("body", [{}, {"model": ""}, {"model": "a b"}, {"model": "x:cloud"}])
async def test_what_is_no_name_is_400(world: World, body: dict[str, Any]) -> None:
    assert await world.post("/api/pull", body) == (400, {"error": "invalid model name"})


async def test_an_official_client_pulls(world: World) -> None:
    steps = [step async for step in await world.ollama.pull("x", stream=True)]
    assert steps[-1].status == "success"
    assert [step.completed for step in steps if step.digest] == [None, 10]


async def test_push_reports_each_step(world: World) -> None:
    world.backend.registry.models.add("me/x:latest")
    steps = [step async for step in await world.ollama.push("me/x", insecure=True, stream=True)]
    assert [step.status for step in steps] == ["retrieving manifest", "pushing abc", "success"]
    (sent,) = world.backend.registry.pushed
    assert (sent.model, sent.insecure) == ("me/x", True)


async def test_push_of_a_model_that_is_not_stored(world: World) -> None:
    error = {"error": "model 'me/none' not found"}
    lines = await world.lines("/api/push", {"model": "me/none"})
    assert lines == [{"status": "retrieving manifest"}, error]
    body = {"model": "me/none", "stream": False}
    assert await world.post("/api/push", body) == (404, error)
