"""The `ollama` Python package against the gateway."""

from pathlib import Path

import ollama
import pytest

from tests.gateway.conftest import World


async def test_generate_and_chat(world: World) -> None:
    generated = await world.ollama.generate("tiny", "one two", keep_alive="5m")
    assert generated.response == "one two "
    assert generated.done_reason == "stop"
    assert list(generated.context or []) == [1, 2, 3]
    stream = await world.ollama.chat(
        "tiny", [{"role": "user", "content": "one two"}], stream=True, options={"seed": 1}
    )
    parts = [part async for part in stream]
    assert [part.message.content for part in parts] == ["one ", "two ", ""]
    assert parts[-1].eval_count == 2


async def test_embed(world: World) -> None:
    assert (await world.ollama.embed("tiny", ["a", "bc"])).embeddings == [[1, 0.5], [2, 0.5]]
    assert (await world.ollama.embeddings("tiny", "abc")).embedding == [3, 0.5]


async def test_models(world: World, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights" * 300_000)
    for _ in range(2):
        digest = await world.ollama.create_blob(file)
    assert world.backend.blobs.stored[digest] == file.read_bytes()
    made = await world.ollama.create("new", files={file.name: digest}, system="s", license=["MIT"])
    assert made.status == "success"
    steps = [
        step.status async for step in await world.ollama.create("new2", from_="tiny", stream=True)
    ]
    assert steps == ["parsing", "writing manifest", "success"]
    assert (await world.ollama.copy("new", "newer")).status == "success"
    assert (await world.ollama.delete("new")).status == "success"
    listed = await world.ollama.list()
    assert [model.model for model in listed.models] == [
        "new2:latest",
        "newer:latest",
        "tiny:latest",
    ]
    shown = await world.ollama.show("tiny")
    assert shown.modelinfo == {"general.architecture": "llama"}
    assert shown.capabilities == ["completion"]
    assert not (await world.ollama.ps()).models


async def test_errors(world: World) -> None:
    with pytest.raises(ollama.ResponseError, match="model 'nope' not found") as caught:
        await world.ollama.generate("nope", "x")
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError) as caught:
        await world.ollama.pull("x")
    assert caught.value.status_code == 501
