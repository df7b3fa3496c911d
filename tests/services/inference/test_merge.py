"""How a request is laid over its model's own defaults."""

import pytest

from protos.paddock.v1 import generation_pb2
from services.inference.merge import merge
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


def test_a_context_stands_in_place_of_the_models_messages() -> None:
    model = resolved(system="Be Mario.", messages=[Message(role="user", content="hi")])
    later = generation_pb2.Completion(prompt="x", context=[1, 2])
    merged = merge(model, generation_pb2.Generation(completion=later)).completion
    assert merged.system == "Be Mario."
    assert not merged.history


@pytest.mark.parametrize(
    "completion",
    [
        generation_pb2.Completion(prompt="x", raw=True),
        generation_pb2.Completion(prompt="x", suffix="y"),
    ],
    ids=["raw", "fill in the middle"],
)
def test_a_text_without_a_conversation_is_left_alone(
    completion: generation_pb2.Completion,
) -> None:
    model = resolved(system="Be Mario.", messages=[Message(role="user", content="hi")])
    merged = merge(model, generation_pb2.Generation(completion=completion)).completion
    assert merged == completion


@pytest.mark.parametrize(
    ("capabilities", "asked", "think"),
    [
        (["completion"], generation_pb2.THINK_UNSPECIFIED, generation_pb2.THINK_UNSPECIFIED),
        (["completion"], generation_pb2.THINK_OFF, generation_pb2.THINK_OFF),
        (["thinking"], generation_pb2.THINK_UNSPECIFIED, generation_pb2.THINK_ON),
        (["thinking"], generation_pb2.THINK_OFF, generation_pb2.THINK_OFF),
        (["thinking"], generation_pb2.THINK_LOW, generation_pb2.THINK_LOW),
    ],
)
def test_a_model_that_can_think_does_unless_told_otherwise(
    capabilities: list[str],
    asked: generation_pb2.Think.ValueType,
    think: generation_pb2.Think.ValueType,
) -> None:
    model = resolved()
    model.spec.capabilities[:] = capabilities
    assert merge(model, generation_pb2.Generation(think=asked)).think == think


def test_a_template_of_the_request_replaces_the_models() -> None:
    model = resolved(template="{{ .Prompt }}")
    assert merge(model, chat()).template == "{{ .Prompt }}"
    assert merge(model, generation_pb2.Generation(template="x")).template == "x"


def test_what_asks_the_worker_passes_unchanged() -> None:
    asked = generation_pb2.Generation(
        chat=generation_pb2.Chat(tools_json=["{}"]), logprobs=0, truncate=False, shift=False
    )
    merged = merge(resolved(), asked)
    del merged.chat.messages[:]
    merged.ClearField("options")
    assert merged == asked
