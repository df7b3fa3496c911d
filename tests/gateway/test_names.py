"""How each endpoint takes a model's name, and what it says of one that is wrong."""

import json
from typing import Any

import pytest

from tests.gateway.conftest import World

MALFORMED = "a b"
UNKNOWN = "nope"
# Ollama's suffixes for where a model runs; its cloud is not here.
BOTH = ("tiny:local:cloud", 400, "use either :local or :cloud, not both")
USER = [{"role": "user", "content": "x"}]
# What besides the model's name makes a whole request.
BODIES: dict[str, dict[str, Any]] = {
    "generate": {"prompt": "x"},
    "chat": {"messages": USER},
    "embed": {"input": "x"},
    "embeddings": {"prompt": "x"},
    "show": {},
    "delete": {},
    "create": {"from": "tiny"},
}


async def ask(world: World, endpoint: str, body: dict[str, Any]) -> tuple[int, Any]:
    method = "DELETE" if endpoint == "delete" else "POST"
    body = BODIES.get(endpoint, {}) | {"stream": False} | body
    async with world.http.request(method, f"/api/{endpoint}", json=body) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None


@pytest.mark.parametrize(
    ("endpoint", "name", "status", "text"),
    [
        ("generate", "", 404, "model '' not found"),
        ("generate", MALFORMED, 400, "invalid model name"),
        ("generate", UNKNOWN, 404, "model 'nope' not found"),
        ("chat", "", 400, "model is required"),
        ("chat", MALFORMED, 400, "invalid model name"),
        ("chat", UNKNOWN, 404, "model 'nope' not found"),
        ("embed", "", 404, "model '' not found"),
        ("embed", MALFORMED, 400, "invalid model name"),
        ("embed", UNKNOWN, 404, 'model "nope" not found, try pulling it first'),
        ("embeddings", "", 400, "model is required"),
        ("embeddings", MALFORMED, 400, "invalid model name"),
        ("embeddings", UNKNOWN, 404, 'model "nope" not found, try pulling it first'),
        ("show", "", 400, "model is required"),
        ("show", MALFORMED, 400, "invalid model name"),
        ("show", UNKNOWN, 404, "model 'nope:latest' not found"),
        ("delete", "", 400, "model is required"),
        ("delete", MALFORMED, 400, 'name "a b" is invalid'),
        ("delete", UNKNOWN, 404, "model 'nope' not found"),
        ("create", "", 400, "invalid model name"),
        ("create", MALFORMED, 400, "invalid model name"),
        ("create", "x:cloud", 400, "invalid model name"),
        *((endpoint, *BOTH) for endpoint in BODIES if endpoint != "delete"),
        ("delete", BOTH[0], 400, f'name "{BOTH[0]}" is invalid'),
        ("generate", "tiny:cloud", 404, "model 'tiny:cloud' not found"),
        ("chat", "tiny:1b-cloud", 404, "model 'tiny:1b-cloud' not found"),
        ("embed", "tiny:cloud", 404, 'model "tiny:cloud" not found, try pulling it first'),
        ("show", "tiny:cloud", 404, "model 'tiny:cloud' not found"),
    ],
)
async def test_names_that_are_wrong(
    world: World, endpoint: str, name: str, status: int, text: str
) -> None:
    assert await ask(world, endpoint, {"model": name}) == (status, {"error": text})


@pytest.mark.parametrize(
    ("source", "destination", "status", "text"),
    [
        ("", "new", 400, 'source "" is invalid'),
        ("tiny", "", 400, 'destination "" is invalid'),
        (MALFORMED, "new", 400, 'source "a b" is invalid'),
        ("tiny", MALFORMED, 400, 'destination "a b" is invalid'),
        (UNKNOWN, "new", 404, 'model "nope" not found'),
        (" nope ", "new", 404, 'model " nope " not found'),
    ],
)
async def test_copies_that_are_wrong(
    world: World, source: str, destination: str, status: int, text: str
) -> None:
    body = {"source": source, "destination": destination}
    assert await ask(world, "copy", body) == (status, {"error": text})


@pytest.mark.parametrize(
    "name",
    ["tiny", "  tiny  ", "tiny:latest", "tiny:local", "https://registry.ollama.ai/library/tiny"],
)
@pytest.mark.parametrize("endpoint", ["generate", "chat", "embed"])
async def test_a_name_is_echoed_as_it_was_spelled(world: World, endpoint: str, name: str) -> None:
    status, answer = await ask(world, endpoint, {"model": name})
    assert (status, answer["model"]) == (200, name)


@pytest.mark.parametrize(
    "name", ["  tiny  ", "tiny:local", "https://registry.ollama.ai/library/tiny"]
)
async def test_managed_models_are_found_by_any_spelling(world: World, name: str) -> None:
    assert (await ask(world, "show", {"model": name}))[0] == 200
    copy = {"source": name, "destination": "https://registry.ollama.ai/library/second:local"}
    assert await ask(world, "copy", copy) == (200, None)
    assert world.backend.registry.models == {"tiny:latest", "second:latest"}
    assert await ask(world, "delete", {"model": name}) == (200, None)
    assert world.backend.registry.models == {"second:latest"}


@pytest.mark.parametrize("endpoint", ["show", "delete", "create"])
async def test_name_is_the_older_word_for_model(world: World, endpoint: str) -> None:
    assert (await ask(world, endpoint, {"name": "tiny"}))[0] == 200
    world.backend.registry.models = {"tiny:latest"}
    assert (await ask(world, endpoint, {"name": MALFORMED, "model": "tiny"}))[0] == 200


@pytest.mark.parametrize(
    ("endpoint", "status"), [("generate", 404), ("chat", 400), ("embed", 404), ("embeddings", 400)]
)
async def test_name_means_nothing_where_it_never_did(
    world: World, endpoint: str, status: int
) -> None:
    assert (await ask(world, endpoint, {"name": "tiny"}))[0] == status


async def test_unloading_a_model_that_is_not_there_is_404(world: World) -> None:
    for endpoint, body in (("generate", {"prompt": ""}), ("chat", {"messages": []})):
        asked = {"model": UNKNOWN, "keep_alive": 0, **body}
        assert await ask(world, endpoint, asked) == (404, {"error": "model 'nope' not found"})
