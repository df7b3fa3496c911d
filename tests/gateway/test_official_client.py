"""The `ollama` Python package against the gateway."""

from pathlib import Path

import ollama
import pytest

from protos.paddock.v1 import generation_pb2
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


async def test_everything_that_generate_takes(world: World) -> None:
    generated = await world.ollama.generate(
        "tiny",
        "one",
        suffix="two",
        system="s",
        template="t",
        context=[1, 2],
        images=[b"png"],
        think="high",
        logprobs=True,
        top_logprobs=2,
        format={"type": "object"},
        options=ollama.Options(stop=["x"], num_gpu=1),
    )
    assert generated.response == "one "
    (sent,) = world.backend.inference.generated
    assert list(sent.generation.completion.images) == [b"png"]
    assert sent.generation.logprobs == 2


async def test_thoughts_tools_and_log_probabilities(world: World) -> None:
    def weather(city: str, days: list[int] | None = None) -> str:
        """Tell the weather.

        Args:
            city: where
            days: when
        """
        return f"{city} {days}"

    call = generation_pb2.ToolCall(id="call_1", name="weather", arguments_json='{"city": "Rome"}')
    token = generation_pb2.TokenLogprob(token="hm", logprob=-1, token_bytes=b"hm")
    world.backend.inference.script = [
        generation_pb2.Delta(thinking="hm", logprobs=[token]),
        generation_pb2.Delta(tool_calls=[call]),
    ]
    question = ollama.Message(role="user", content="Rome?", images=[ollama.Image(value=b"png")])
    answer = await world.ollama.chat("tiny", [question], tools=[weather], logprobs=True)
    assert answer.message.thinking == "hm"
    assert answer.logprobs
    assert answer.logprobs[0].token == "hm"
    (called,) = answer.message.tool_calls or ()
    assert (called.function.name, called.function.arguments) == ("weather", {"city": "Rome"})
    told = ollama.Message(role="tool", content="sunny", tool_name="weather")
    world.backend.inference.script = []
    await world.ollama.chat("tiny", [question, answer.message, told], tools=[weather])
    sent = world.backend.inference.generated[-1].generation.chat
    assert sent.messages[0].images == [b"png"]
    assert sent.messages[1].tool_calls[0].arguments_json == '{"city":"Rome"}'
    assert sent.messages[2].tool_name == "weather"


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
    with pytest.raises(ollama.ResponseError, match="file does not exist") as caught:
        await world.ollama.pull("none")
    assert caught.value.status_code == 500
