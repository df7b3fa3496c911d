"""How a request is laid over its model's own defaults."""

import pytest

from common.errors import CapabilityMissing
from protos.paddock.v1 import generation_pb2
from services.inference.merge import merge, require
from tests.services.inference.fakes import resolved

Message = generation_pb2.Message


def chat(*messages: generation_pb2.Message) -> generation_pb2.Generation:
    return generation_pb2.Generation(chat=generation_pb2.Chat(messages=messages))


def test_options_request_over_model_over_defaults() -> None:
    model = resolved(parameters=generation_pb2.Options(temperature=0.1, top_k=5, stop=["a"]))
    asked = chat(Message(role="user", content="x"))
    asked.options.top_k = 7
    asked.options.stop.extend(["b", "c"])
    options = merge(model, asked).options
    assert round(options.temperature, 3) == 0.1
    assert options.top_k == 7
    assert round(options.top_p, 3) == 0.9
    assert list(options.stop) == ["b", "c"]


def test_the_models_system_prompt_and_messages_come_first() -> None:
    model = resolved(system="Be Mario.", messages=[Message(role="user", content="hi")])
    merged = merge(model, chat(Message(role="user", content="who?"))).chat
    assert [message.content for message in merged.messages] == ["Be Mario.", "hi", "who?"]


def test_a_conversation_with_its_own_system_prompt_keeps_it() -> None:
    model = resolved(system="Be Mario.")
    asked = chat(Message(role="system", content="Be Luigi."), Message(role="user", content="who?"))
    merged = merge(model, asked).chat
    assert [message.content for message in merged.messages] == ["Be Luigi.", "who?"]


def test_completion_takes_the_models_system_prompt_unless_it_brings_one() -> None:
    model = resolved(system="Be Mario.", messages=[Message(role="user", content="hi")])
    plain = generation_pb2.Generation(completion=generation_pb2.Completion(prompt="who?"))
    assert merge(model, plain).completion.system == "Be Mario."
    assert len(merge(model, plain).completion.history) == 1
    plain.completion.system = ""
    assert merge(model, plain).completion.system == ""


def test_raw_completion_is_left_alone() -> None:
    model = resolved(system="Be Mario.", messages=[Message(role="user", content="hi")])
    raw = generation_pb2.Generation(completion=generation_pb2.Completion(prompt="x", raw=True))
    merged = merge(model, raw).completion
    assert not merged.system
    assert not merged.history


def test_a_missing_capability_names_the_model_as_requested() -> None:
    with pytest.raises(CapabilityMissing, match='"Demo" does not support embeddings'):
        require(resolved(), "Demo", "embedding", "embeddings")
