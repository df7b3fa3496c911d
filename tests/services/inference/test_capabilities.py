"""Which requests a model is refused for, and in which words."""

import pytest

from common.errors import CapabilityMissing
from protos.paddock.v1 import generation_pb2, registry_pb2
from services.inference.capabilities import require, require_generation
from tests.services.inference.fakes import resolved

IMAGE = generation_pb2.Message(role="user", images=[b"png"])
CHAT = generation_pb2.Generation(chat=generation_pb2.Chat())
GENERATE = generation_pb2.Generation(completion=generation_pb2.Completion(prompt="x"))
TOOLS = generation_pb2.Generation(chat=generation_pb2.Chat(tools_json=["{}"]))
INSERT = generation_pb2.Generation(completion=generation_pb2.Completion(suffix="x"))
SEE = generation_pb2.Generation(chat=generation_pb2.Chat(messages=[IMAGE]))
LOOK = generation_pb2.Generation(completion=generation_pb2.Completion(images=[b"png"]))


def model(*capabilities: str, name: str = "demo:latest") -> registry_pb2.ResolvedModel:
    made = resolved()
    made.spec.name = name
    made.spec.capabilities[:] = capabilities
    return made


def thinking(
    generation: generation_pb2.Generation, think: generation_pb2.Think.ValueType
) -> generation_pb2.Generation:
    asked = generation_pb2.Generation(think=think)
    asked.MergeFrom(generation)
    return asked


@pytest.mark.parametrize(
    ("capabilities", "asked", "text"),
    [
        (["embedding"], CHAT, '"Demo" does not support chat'),
        (["embedding"], GENERATE, '"Demo" does not support generate'),
        (["embedding"], TOOLS, '"Demo" does not support chat'),
        (["embedding"], INSERT, '"Demo" does not support generate'),
        (["completion"], TOOLS, "registry.ollama.ai/library/demo:latest does not support tools"),
        (["completion"], INSERT, "registry.ollama.ai/library/demo:latest does not support insert"),
        (["completion"], SEE, '"Demo" does not support images'),
        (["completion"], LOOK, '"Demo" does not support images'),
        (
            ["embedding"],
            thinking(CHAT, generation_pb2.THINK_ON),
            '"Demo" does not support thinking',
        ),
        (
            ["completion"],
            thinking(TOOLS, generation_pb2.THINK_MAX),
            '"Demo" does not support thinking',
        ),
    ],
)
def test_what_a_model_cannot_do(
    capabilities: list[str], asked: generation_pb2.Generation, text: str
) -> None:
    with pytest.raises(CapabilityMissing) as caught:
        require_generation(model(*capabilities), "Demo", asked)
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("capabilities", "asked"),
    [
        (["completion"], CHAT),
        (["completion"], GENERATE),
        (["completion", "tools"], TOOLS),
        (["completion", "insert"], INSERT),
        (["completion", "vision"], SEE),
        (["completion", "vision"], LOOK),
        (["completion"], thinking(CHAT, generation_pb2.THINK_OFF)),
        (["completion", "thinking"], thinking(CHAT, generation_pb2.THINK_LOW)),
    ],
)
def test_what_a_model_can_do(capabilities: list[str], asked: generation_pb2.Generation) -> None:
    require_generation(model(*capabilities), "Demo", asked)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("somebody/demo:7b", "registry.ollama.ai/somebody/demo:7b"),
        ("host:5000/somebody/demo:7b", "host:5000/somebody/demo:7b"),
    ],
)
def test_the_full_name_of_a_model(name: str, full: str) -> None:
    with pytest.raises(CapabilityMissing, match=f"^{full} does not support tools$"):
        require_generation(model("completion", name=name), "demo", TOOLS)


def test_a_single_capability() -> None:
    with pytest.raises(CapabilityMissing, match=r'^"Demo" does not support embeddings$'):
        require(model("completion"), "Demo", "embedding", "embeddings")
    require(model("embedding"), "Demo", "embedding", "embeddings")
