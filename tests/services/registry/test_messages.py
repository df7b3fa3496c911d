import json

import pytest

from common.errors import InvalidModel, InvalidRequest
from protos.paddock.v1.generation_pb2 import Message, ToolCall
from services.registry.messages import check_messages, decode_messages, encode_messages


def test_messages_come_back_as_they_went() -> None:
    messages = [
        Message(role="system", content=""),
        Message(role="user", content="What is it?", images=[b"\x89PNG"]),
        Message(
            role="assistant",
            thinking="Hm.",
            tool_calls=[ToolCall(id="call_1", name="look", arguments_json='{"at":1}')],
        ),
    ]
    layer = encode_messages(messages)
    assert json.loads(layer)[0] == {"role": "system", "content": ""}
    assert decode_messages(layer.decode()) == messages


def test_a_layer_of_ollama_is_read() -> None:
    text = '[{"role":"user","content":"Hi","tool_calls":null,"new":1}]'
    assert decode_messages(text) == [Message(role="user", content="Hi")]


@pytest.mark.parametrize("text", ["{}", "[{}]", "x", '[{"role":"user","images":["%"]}]'])
def test_damaged_layers(text: str) -> None:
    with pytest.raises(InvalidModel, match="damaged messages"):
        decode_messages(text)


def test_roles() -> None:
    check_messages([Message(role="user")])
    with pytest.raises(InvalidRequest, match='one of "system", "user", or "assistant"'):
        check_messages([Message(role="critic")])


def test_arguments_that_are_no_json() -> None:
    call = ToolCall(name="look", arguments_json="{")
    with pytest.raises(InvalidRequest, match="arguments of tool call look"):
        encode_messages([Message(role="assistant", tool_calls=[call])])
