"""`/api/tags`, `/api/show`, `/api/copy`, `/api/delete`, `/api/create`."""

import json
from typing import Any

import pytest

from common.errors import InvalidModel, StoreFull
from protos.paddock.v1 import generation_pb2, registry_pb2
from tests.gateway.conftest import World

DETAILS = {
    "parent_model": "",
    "format": "safetensors",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "4.1M",
    "quantization_level": "BF16",
}
MODIFIED = "2023-11-14T22:13:20.000000005Z"


async def get(world: World, path: str) -> Any:
    async with world.http.get(path) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        return await response.json()


async def test_tags(world: World) -> None:
    assert await get(world, "/api/tags") == {
        "models": [
            {
                "name": "tiny:latest",
                "model": "tiny:latest",
                "modified_at": MODIFIED,
                "size": 42,
                "digest": "a" * 64,
                "details": {**DETAILS, "context_length": 2048, "embedding_length": 64},
                "capabilities": ["completion"],
            }
        ]
    }


async def test_no_models_are_an_empty_list(world: World) -> None:
    world.backend.registry.models.clear()
    assert await get(world, "/api/tags") == {"models": []}


@pytest.mark.parametrize("key", ["model", "name", "Name"])
async def test_show(world: World, key: str) -> None:
    status, answer = await world.post("/api/show", {key: "tiny", "verbose": True})
    assert status == 200
    assert answer == {
        "license": "MIT\nBSD",
        "modelfile": "FROM tiny",
        "parameters": 'stop                           "x"',
        "template": "{{ .Prompt }}",
        "system": "You are tiny.",
        "renderer": "tiny-renderer",
        "parser": "tiny-parser",
        "requires": "0.9.1",
        "projector_info": {"general.architecture": "clip"},
        "details": DETAILS,
        "messages": [{"role": "user", "content": "hi"}],
        "model_info": {"general.architecture": "llama"},
        "tensors": [{"name": "a", "type": "BF16", "shape": [2, 3]}],
        "capabilities": ["completion"],
        "modified_at": MODIFIED,
    }
    assert world.backend.registry.shown[0].verbose


async def test_show_passes_on_what_is_to_be_shown_instead(world: World) -> None:
    body = {"model": "tiny", "system": "other", "options": {"top_k": 5}, "template": "x"}
    _, answer = await world.post("/api/show", body)
    assert (answer["system"], answer["template"]) == ("other", "{{ .Prompt }}")
    (sent,) = world.backend.registry.shown
    assert json.loads(sent.parameters_json) == {"top_k": 5}
    assert not sent.verbose


async def test_show_leaves_out_what_is_empty(world: World) -> None:
    world.backend.registry.description = registry_pb2.ShowResponse()
    _, answer = await world.post("/api/show", {"model": "tiny"})
    assert answer == {
        "details": {**dict.fromkeys(DETAILS, ""), "families": []},
        "model_info": {},
        "modified_at": "1970-01-01T00:00:00.000000000Z",
    }


async def test_copilot_finds_the_name_where_it_looks(world: World) -> None:
    headers = {"User-Agent": "GitHubCopilotChat/1.2"}
    async with world.http.post("/api/show", json={"model": "tiny"}, headers=headers) as response:
        answer = await response.json()
    assert answer["model_info"]["general.basename"] == "tiny"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "show", {"model": "tiny", "options": []}, 400, None),
        ("POST", "create", {"model": "x"}, 400, "neither 'from' or 'files' was specified"),
        ("POST", "create", {"model": "x", "from": "tiny", "license": [5]}, 400, None),
        ("POST", "create", {"model": "x", "from": "tiny", "info": "y"}, 400, None),
        ("POST", "create", {"model": "x", "files": ["a"]}, 400, None),
        ("POST", "create", {"model": "x", "from": "tiny", "license": 5}, 400, None),
    ],
)
async def test_requests_that_are_wrong(
    world: World, method: str, path: str, body: dict[str, str], status: int, text: str | None
) -> None:
    async with world.http.request(method, f"/api/{path}", json=body) as response:
        assert response.status == status
        answer = await response.json()
    assert answer == {"error": text} if text else answer["error"]


async def test_names_reach_the_registry_without_white_space(world: World) -> None:
    await world.post("/api/show", {"model": " tiny:latest\n"})
    assert world.backend.registry.shown[0].model == "tiny:latest"
    body = {"model": " new:LOCAL ", "from": "\ttiny:local ", "stream": False}
    await world.post("/api/create", body)
    (sent,) = world.backend.registry.created
    assert (sent.model, getattr(sent, "from")) == ("new:LOCAL", "tiny:local")


async def test_create_passes_every_field_on(world: World) -> None:
    body = {
        "model": "new",
        "from": "tiny",
        "template": "{{ .Prompt }}",
        "renderer": "r",
        "parser": "p",
        "requires": "0.9.1",
        "info": {"general.basename": "tiny"},
        "stream": False,
    }
    assert await world.post("/api/create", body) == (200, {"status": "success"})
    (sent,) = world.backend.registry.created
    assert (sent.template, sent.renderer, sent.parser) == ("{{ .Prompt }}", "r", "p")
    assert sent.requires == "0.9.1"
    assert json.loads(sent.info_json) == {"general.basename": "tiny"}


@pytest.mark.parametrize("key", ["quantize", "Quantization"])
async def test_create_with_another_type_of_weights(world: World, key: str) -> None:
    body = {"model": "new", "from": "tiny", key: "q4_K_M", "stream": False}
    assert await world.post("/api/create", body) == (200, {"status": "success"})
    (sent,) = world.backend.registry.created
    assert sent.quantize == "q4_K_M"


async def test_create_with_an_adapter(world: World) -> None:
    adapters = {"adapter_config.json": "sha256:1", "adapter_model.safetensors": "sha256:2"}
    body = {"model": "new", "from": "tiny", "adapters": adapters, "stream": False}
    assert await world.post("/api/create", body) == (200, {"status": "success"})
    (sent,) = world.backend.registry.created
    assert dict(sent.adapters) == adapters


@pytest.mark.parametrize("key", ["modelfile", "path"])
async def test_create_in_its_older_forms(world: World, key: str) -> None:
    body = {"name": "new", key: "FROM tiny", "system": "", "quantize": None, "stream": False}
    assert await world.post("/api/create", body) == (200, {"status": "success"})
    (sent,) = world.backend.registry.created
    assert [field.name for field, _ in sent.ListFields()] == ["model", key]


async def test_copy_and_delete_answer_with_nothing(world: World) -> None:
    copied = {"source": "tiny", "destination": "second"}
    async with world.http.post("/api/copy", json=copied) as response:
        assert (response.status, await response.read()) == (200, b"")
    assert world.backend.registry.models == {"tiny:latest", "second:latest"}
    async with world.http.delete("/api/delete", json={"name": "second"}) as response:
        assert (response.status, await response.read()) == (200, b"")
    assert world.backend.registry.models == {"tiny:latest"}


async def test_create_reports_each_step(world: World) -> None:
    body = {
        "name": "new",
        "from": "tiny",
        "files": {"Config.json": "sha256:1"},
        "system": "",
        "license": "MIT",
        "parameters": {"stop": ["x"], "temperature": 1},
        "messages": [{"role": "user", "content": "hi"}],
    }
    async with world.http.post("/api/create", json=body) as response:
        assert response.content_type == "application/x-ndjson"
        steps = [json.loads(line) async for line in response.content]
    assert steps == [
        {"status": "parsing", "digest": "sha256:0", "total": 10, "completed": 5},
        {"status": "writing manifest"},
        {"status": "success"},
    ]
    (sent,) = world.backend.registry.created
    assert (sent.model, getattr(sent, "from")) == ("new", "tiny")
    assert dict(sent.files) == {"Config.json": "sha256:1"}
    assert not sent.HasField("system")
    assert not sent.HasField("template")
    assert list(sent.licenses) == ["MIT"]
    assert json.loads(sent.parameters_json) == {"stop": ["x"], "temperature": 1}
    assert list(sent.messages) == [generation_pb2.Message(role="user", content="hi")]


async def test_create_without_streaming_gives_the_last_step(world: World) -> None:
    body = {"model": "new", "from": "tiny", "license": ["A", "B"], "stream": False}
    assert await world.post("/api/create", body) == (200, {"status": "success"})
    assert list(world.backend.registry.created[0].licenses) == ["A", "B"]
    assert not world.backend.registry.created[0].HasField("system")


async def test_a_create_that_fails_midway(world: World) -> None:
    world.backend.registry.fail_create = InvalidModel("supplied file was not in GGUF format")
    body = {"model": "new", "from": "tiny"}
    async with world.http.post("/api/create", json=body) as response:
        assert response.status == 200
        *_, last = [json.loads(line) async for line in response.content]
    assert last == {"error": "supplied file was not in GGUF format"}
    world.backend.registry.fail_create = StoreFull("no space left")
    assert await world.post("/api/create", body | {"stream": False}) == (
        507,
        {"error": "no space left"},
    )
