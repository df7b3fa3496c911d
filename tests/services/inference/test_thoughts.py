"""Thoughts in the text of earlier answers."""

import pytest

from protos.paddock.v1 import generation_pb2, model_pb2
from services.inference.thoughts import forget_thoughts

QWEN = model_pb2.ModelSpec(name="q:latest", details=model_pb2.ModelDetails(family="qwen3"))
DEEPSEEK = model_pb2.ModelSpec(name="somebody/deepseek-r1:7b")
OTHER = model_pb2.ModelSpec(name="qwen3:latest", details=model_pb2.ModelDetails(family="llama"))


def remembered(spec: model_pb2.ModelSpec, *turns: tuple[str, str]) -> list[str]:
    messages = [generation_pb2.Message(role=role, content=content) for role, content in turns]
    forget_thoughts(spec, messages)
    return [message.content for message in messages]


@pytest.mark.parametrize("spec", [QWEN, DEEPSEEK])
@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("<think>\nhm\n</think>\n\nyes ", "yes "),
        (" \n<think></think>yes", "yes"),
        ("<think>hm</think>a</think>b", "a</think>b"),
        ("<think>never ends", ""),
        ("  no thoughts", "  no thoughts"),
        ("said <think>late</think>", "said <think>late</think>"),
        ("", ""),
    ],
)
def test_earlier_answers_lose_their_thoughts(
    spec: model_pb2.ModelSpec, content: str, kept: str
) -> None:
    turns = [("user", "<think>a</think>b"), ("assistant", content), ("user", "c")]
    assert remembered(spec, *turns) == ["<think>a</think>b", kept, "c"]


def test_what_follows_the_last_question_is_kept() -> None:
    turns = [("user", "a"), ("assistant", "<think>b</think>c"), ("tool", "d")]
    assert remembered(QWEN, *turns) == ["a", "<think>b</think>c", "d"]
    assert remembered(QWEN, *turns[1:]) == ["<think>b</think>c", "d"]


def test_other_models_see_everything() -> None:
    turns = [("assistant", "<think>b</think>c"), ("user", "d")]
    assert remembered(OTHER, *turns) == ["<think>b</think>c", "d"]
