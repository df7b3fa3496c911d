"""`/api/embed` and `/api/embeddings`."""

from typing import Any

import pytest

from common.durations import SECOND
from common.errors import CapabilityMissing, InvalidRequest, PaddockError
from tests.gateway.conftest import World


@pytest.mark.parametrize(
    ("given", "texts"), [("abc", ["abc"]), (["a", "", "bcd"], ["a", "", "bcd"]), ([""], [""])]
)
async def test_embed(world: World, given: object, texts: list[str]) -> None:
    status, answer = await world.post("/api/embed", {"model": "tiny", "input": given})
    assert status == 200
    assert answer == {
        "model": "tiny",
        "embeddings": [[len(text), 0.5] for text in texts],
        "total_duration": 9,
        "prompt_eval_count": 3,
    }
    (sent,) = world.backend.inference.embedded
    assert list(sent.inputs) == texts
    assert sent.normalize
    assert sent.truncate
    assert not sent.HasField("dimensions")


async def test_embed_passes_on_what_is_asked(world: World) -> None:
    body = {"model": "tiny", "input": "a", "truncate": False, "dimensions": 8, "keep_alive": 3}
    await world.post("/api/embed", body | {"options": {"num_ctx": 64}})
    (sent,) = world.backend.inference.embedded
    assert not sent.truncate
    assert (sent.dimensions, sent.keep_alive, sent.options.num_ctx) == (8, 3 * SECOND, 64)


@pytest.mark.parametrize("dimensions", [0, -1, 2**40])
async def test_impossible_dimensions_have_no_effect(world: World, dimensions: int) -> None:
    body = {"model": "tiny", "input": "a", "dimensions": dimensions}
    status, _ = await world.post("/api/embed", body)
    assert status == 200
    assert not world.backend.inference.embedded[0].HasField("dimensions")


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": []}, {"input": None}])
async def test_embed_without_input_loads(world: World, body: dict[str, Any]) -> None:
    answer = await world.post("/api/embed", {"model": "tiny", "keep_alive": "1s", **body})
    assert answer == (200, {"model": "tiny", "embeddings": []})
    assert world.backend.inference.loaded[0].keep_alive == SECOND


async def test_embeddings(world: World) -> None:
    answer = await world.post("/api/embeddings", {"model": "tiny", "prompt": "abc"})
    assert answer == (200, {"embedding": [3, 0.5]})
    assert not world.backend.inference.embedded[0].normalize
    assert await world.post("/api/embeddings", {"model": "tiny"}) == (200, {"embedding": []})


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("embed", {}, 404, "model '' not found"),
        ("embed", {"model": "a b"}, 400, "invalid model name"),
        ("embed", {"model": "nope"}, 404, 'model "nope" not found, try pulling it first'),
        ("embed", {"model": "tiny", "input": 5}, 400, "invalid input type"),
        ("embed", {"model": "tiny", "input": {}}, 400, "invalid input type"),
        ("embed", {"model": "tiny", "input": False}, 400, "invalid input type"),
        ("embed", {"model": "tiny", "input": [["a"]]}, 400, "invalid input type"),
        ("embed", {"input": 5}, 400, "invalid input type"),
        ("embed", {"model": "tiny", "input": ["a", 5]}, 400, "invalid input type"),
        ("embed", {"model": "nope", "input": 5}, 400, "invalid input type"),
        (
            "embed",
            {"model": "nope", "input": "x", "options": {"num_ctx": "x"}},
            404,
            'model "nope" not found, try pulling it first',
        ),
        (
            "embeddings",
            {"model": "nope", "prompt": "x", "options": {"num_ctx": "x"}},
            404,
            'model "nope" not found, try pulling it first',
        ),
        ("embeddings", {}, 400, "model is required"),
        ("embeddings", {"model": "a b"}, 400, "invalid model name"),
        (
            "embeddings",
            {"model": "nope", "prompt": "x"},
            404,
            'model "nope" not found, try pulling it first',
        ),
    ],
)
async def test_requests_that_are_wrong(
    world: World, path: str, body: dict[str, Any], status: int, text: str
) -> None:
    assert await world.post(f"/api/{path}", body) == (status, {"error": text})


@pytest.mark.parametrize("path", ["embed", "embeddings"])
@pytest.mark.parametrize(
    "failure",
    [
        InvalidRequest("the input length exceeds the context length"),
        InvalidRequest("embedding contains NaN or Inf values"),
        CapabilityMissing('"tiny" does not support embeddings'),
    ],
)
async def test_what_the_engine_refuses_is_400(
    world: World, path: str, failure: PaddockError
) -> None:
    world.backend.inference.embed_failure = failure
    answer = await world.post(f"/api/{path}", {"model": "tiny", "input": "x", "prompt": "x"})
    assert answer == (400, {"error": failure.message})
