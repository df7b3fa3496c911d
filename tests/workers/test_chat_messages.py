from typing import Any

from protos.paddock.v1.generation_pb2 import Message, ToolCall
from workers.chat_messages import plain_messages


def plain(*messages: Message, **arguments: bool) -> list[dict[str, Any]]:
    return plain_messages(messages, lambda message: message.content, **arguments)


def call(name: str, call_id: str = "", arguments: str = "{}") -> Message:
    made = ToolCall(id=call_id, name=name, arguments_json=arguments)
    return Message(role="assistant", tool_calls=[made])


def result(name: str = "", call_id: str = "") -> Message:
    return Message(role="tool", content="3", tool_name=name, tool_call_id=call_id)


def test_texts() -> None:
    assert plain(Message(role="user", content="Hi"), Message(role="assistant")) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": ""},
    ]


def test_calls_and_results() -> None:
    arguments = '{"b": 1, "a": {"c": [2]}}'
    assistant, tool = plain(call("add", "call_1", arguments), result("add", "call_1"))
    assert assistant["tool_calls"] == [
        {
            "type": "function",
            "id": "call_1",
            "function": {"name": "add", "arguments": {"b": 1, "a": {"c": [2]}}},
        }
    ]
    assert tool == {"role": "tool", "content": "3", "name": "add", "tool_call_id": "call_1"}


def test_arguments_as_text() -> None:
    [assistant] = plain(call("add", "1", '{"b": 1}'), arguments_as_text=True)
    assert assistant["tool_calls"][0]["function"]["arguments"] == '{"b": 1}'


def ids(conversation: list[dict[str, Any]]) -> list[str]:
    found: list[str] = []
    for message in conversation:
        found += [each["id"] for each in message.get("tool_calls", ())]
        found += [message["tool_call_id"]] if "tool_call_id" in message else []
    return found


def test_missing_ids_are_made() -> None:
    first, second = "call00000", "call00001"
    two = Message(role="assistant", tool_calls=[ToolCall(name="add"), ToolCall(name="mul")])
    assert ids(plain(two, result("mul"), result("add"))) == [first, second, second, first]
    assert ids(plain(two, result(), result())) == [first, second, first, second]
    assert ids(plain(call("add"), result("add"), call("add"), result("add"))) == [
        first,
        first,
        second,
        second,
    ]
    assert ids(plain(result("never called"))) == []


def test_short_ids() -> None:
    long = plain(call("add", "call_abcdefgh"), result(call_id="call_abcdefgh"), short_ids=True)
    assert ids(long) == ["call00000", "call00000"]
    unknown = plain(result(call_id="call_abcdefgh"), short_ids=True)
    assert ids(unknown) == ["call_abcdefgh"]


def test_the_tool_of_a_result_is_found_by_its_id() -> None:
    _, _, tool = plain(call("add", "1"), call("mul", "2"), result(call_id="1"))
    assert tool["name"] == "add"


def test_thoughts_have_the_names_of_all_families() -> None:
    [thought] = plain(Message(role="assistant", content="Yes.", thinking="hm"))
    assert {key for key, value in thought.items() if value == "hm"} == {
        "reasoning_content",
        "reasoning",
        "thinking",
    }
    calling = call("add")
    calling.content, calling.thinking = "Wait.", "hm"
    assert "thinking" not in plain(calling)[0]
