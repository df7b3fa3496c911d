from typing import Any

import jinja2
import pytest

from common.errors import CapabilityMissing, InvalidRequest, Unsupported
from protos.paddock.v1 import generation_pb2
from protos.paddock.v1.generation_pb2 import Chat, Completion, Generation, Message, ToolCall
from workers.prompt import render


class Recorder:
    """A tokenizer of one token a character that keeps what it was asked."""

    chat_template: str | None = "some"
    bos_token: str | None = None

    def __init__(self) -> None:
        self.conversation: Any = None
        self.arguments: dict[str, Any] = {}
        self.special = False

    def apply_chat_template(self, conversation: Any, **arguments: Any) -> Any:
        if not conversation:
            raise jinja2.TemplateError("no messages")
        self.conversation, self.arguments = conversation, arguments
        return "".join(f"[{message['role']}]{message['content']}" for message in conversation)

    def encode(self, text: str, **arguments: Any) -> list[int]:
        self.special = arguments.get("add_special_tokens", True)
        return [ord(letter) for letter in text]


def text(tokenizer: Recorder, generation: Generation) -> str:
    return "".join(map(chr, render(tokenizer, "m:latest", generation).tokens))


def chat(*messages: Message, **more: Any) -> Generation:
    return Generation(chat=Chat(messages=messages), **more)


USER = Message(role="user", content="Hi")
SYSTEM = Message(role="system", content="Be brief.")


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (Completion(prompt="Hi"), "[user]Hi"),
        (Completion(prompt="Hi", system="Be brief."), "[system]Be brief.[user]Hi"),
        (Completion(prompt="Hi", system=""), "[user]Hi"),
        (Completion(prompt="Hi", raw=True), "Hi"),
        (Completion(prompt="Hi", context=[65, 66], system="not again"), "AB[user]Hi"),
        (
            Completion(prompt="Hi", system="S", history=[Message(role="user", content="old")]),
            "[system]S[user]old[user]Hi",
        ),
    ],
)
def test_completion(completion: Completion, expected: str) -> None:
    assert text(Recorder(), Generation(completion=completion)) == expected


def test_chat() -> None:
    tokenizer = Recorder()
    assert text(tokenizer, chat(SYSTEM, USER)) == "[system]Be brief.[user]Hi"
    assert tokenizer.arguments["add_generation_prompt"]
    assert not tokenizer.special


def test_without_a_template_the_texts_are_joined() -> None:
    tokenizer = Recorder()
    tokenizer.chat_template = None
    assert text(tokenizer, chat(USER, SYSTEM)) == "Be brief.Hi"
    assert tokenizer.special
    assert text(tokenizer, Generation(completion=Completion(prompt="Hi", system="S. "))) == "S. Hi"


def test_the_beginning_is_not_marked_twice() -> None:
    tokenizer = Recorder()
    tokenizer.bos_token = "<s>"
    text(tokenizer, Generation(completion=Completion(prompt="<s>Hi", raw=True)))
    assert not tokenizer.special
    text(tokenizer, Generation(completion=Completion(prompt="Hi", raw=True)))
    assert tokenizer.special


@pytest.mark.parametrize(
    ("think", "enabled"),
    [
        (generation_pb2.THINK_UNSPECIFIED, False),
        (generation_pb2.THINK_OFF, False),
        (generation_pb2.THINK_ON, True),
        (generation_pb2.THINK_LOW, True),
    ],
)
def test_thinking(think: generation_pb2.Think.ValueType, enabled: bool) -> None:
    tokenizer = Recorder()
    text(tokenizer, chat(USER, think=think))
    assert tokenizer.arguments["enable_thinking"] is enabled


def test_tools_reach_the_template_as_objects() -> None:
    tokenizer = Recorder()
    call = ToolCall(id="call_1", name="add", arguments_json='{"b": 1, "a": 2}')
    generation = chat(
        USER,
        Message(role="assistant", tool_calls=[call], thinking="hm"),
        Message(role="tool", content="3", tool_name="add", tool_call_id="call_1"),
    )
    generation.chat.tools_json.append('{"type": "function", "function": {"name": "add"}}')
    text(tokenizer, generation)
    assert tokenizer.arguments["tools"] == [{"type": "function", "function": {"name": "add"}}]
    _, assistant, tool = tokenizer.conversation
    assert assistant["reasoning_content"] == "hm"
    assert assistant["tool_calls"][0]["function"] == {"name": "add", "arguments": {"b": 1, "a": 2}}
    assert (tool["name"], tool["tool_call_id"]) == ("add", "call_1")


@pytest.mark.parametrize(
    ("generation", "error", "words"),
    [
        (chat(), InvalidRequest, "no messages"),
        (chat(USER, template="{{ .Prompt }}"), Unsupported, "templates"),
        (
            Generation(completion=Completion(prompt="a", suffix="b")),
            CapabilityMissing,
            "m:latest does not support insert",
        ),
        (
            chat(Message(role="user", content="look", images=[b"png"])),
            CapabilityMissing,
            '"m:latest" does not support images',
        ),
    ],
)
def test_what_is_refused(generation: Generation, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        render(Recorder(), "m:latest", generation)
