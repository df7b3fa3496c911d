"""Chat templates through transformers, in the manners of the families that are in use."""

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from common.errors import InvalidRequest
from protos.paddock.v1.generation_pb2 import THINK_OFF, THINK_ON, Message, Think, ToolCall
from workers.chat_template import ChatTemplate
from workers.image_places import Placeholder

DEMO = Path(__file__).parents[2] / "examples" / "demo_model" / "model"
PICTURE = b"a picture"
TOOL = '{"type": "function", "function": {"name": "add", "parameters": {}}}'

# Takes texts alone.
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Takes lists of parts alone, as LLaVA's.
PARTS = (
    "{% for message in messages %}{{ message['role'] }}: "
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}<image>"
    "{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ part['text'] }}{% endfor %};{% endfor %}"
)
# Takes both, as Qwen's, but a system message only as text, as Llama's.
BOTH = (
    "{% if messages[0].role == 'system' %}{{ messages[0].content | trim }};"
    "{% set messages = messages[1:] %}{% endif %}"
    "{% for message in messages %}{{ message.role }}: "
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}<image>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %};{% endfor %}"
)
# Wants turns to alternate, and ids of nine characters, as Mistral's.
STRICT = (
    "{% for message in messages if message.role != 'tool' %}"
    "{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ message.content }}{% for call in message.tool_calls or [] %}"
    "{% if call.id | length != 9 %}{{ raise_exception('ids have nine characters') }}{% endif %}"
    "{{ call.id }}{{ call.function.arguments | tojson }}{% endfor %};{% endfor %}"
)
# Adds a call's arguments to a text, as DeepSeek's.
ADDING = (
    "{% for message in messages %}{{ message.content }}{% for call in message.tool_calls or [] %}"
    "{{ 'json ' + call.function.arguments }}{% endfor %};{% endfor %}"
)


@functools.cache
def demo_tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(DEMO)


def render(
    template: str | None,
    *messages: Message,
    placeholder: str = "<image>",
    think: Think.ValueType = THINK_OFF,
    tools: list[str] | None = None,
) -> str:
    tokenizer = copy.copy(demo_tokenizer())
    if template:
        tokenizer.chat_template = template
    made = ChatTemplate(tokenizer, Placeholder(placeholder), think, tools or []).render(messages)
    assert made.images == [image for message in messages for image in message.images]
    return made.text


def user(content: str, *images: bytes) -> Message:
    return Message(role="user", content=content, images=images)


def assistant(content: str, *calls: ToolCall) -> Message:
    return Message(role="assistant", content=content, tool_calls=calls)


def test_a_text_template() -> None:
    assert render(CHATML, user("Hi")) == ("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_a_begun_answer_is_continued() -> None:
    begun = render(CHATML, user("Hi"), assistant("Well, "))
    assert begun.endswith("<|im_start|>assistant\nWell, ")
    called = render(CHATML, user("Hi"), assistant("Well", ToolCall(name="add")))
    assert called.endswith("Well<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (CHATML, "<|im_start|>user\nsee <image> here<|im_end|>\n<|im_start|>assistant\n"),
        (PARTS, "user: <image>see  here;"),
        (BOTH, "user: see <image> here;"),
    ],
)
def test_images(template: str, text: str) -> None:
    assert render(template, user("see [img] here", PICTURE)) == text


def test_texts_for_a_template_of_parts() -> None:
    assert render(PARTS, user("Hi")) == "user: Hi;"


def test_a_template_whose_image_parts_are_not_the_engine_s() -> None:
    assert render(BOTH, user("look", PICTURE), placeholder="<pad>") == "user: <pad>look;"


def test_texts_stay_texts_beside_images() -> None:
    system = Message(role="system", content="Be brief.")
    text = render(BOTH, system, user("one", PICTURE), assistant("Yes"), user("two"))
    assert text == "Be brief.;user: <image>one;assistant: Yes;user: two;"


def test_the_demo_model_thinks_as_it_is_told() -> None:
    assert render(None, user("Hi"), think=THINK_ON).endswith("<|im_start|>assistant\n")
    assert render(None, user("Hi")).endswith("assistant\n<think>\n\n</think>\n\n")


def test_the_demo_model_s_tools() -> None:
    call = ToolCall(name="add", arguments_json='{"b": 1, "a": 2}')
    text = render(
        None,
        user("1 + 2?"),
        assistant("", call),
        Message(role="tool", content="3", tool_name="add"),
        tools=[TOOL],
    )
    assert TOOL in text
    assert '{"name": "add", "arguments": {"b": 1, "a": 2}}' in text
    assert "<tool_response>\n3\n</tool_response>" in text


def test_calls_for_a_strict_template() -> None:
    call = ToolCall(id="call_abcdefgh", name="add", arguments_json='{"a": 2}')
    assert render(STRICT, user("?"), assistant("", call)) == '?;call00000{"a": 2};'


def test_calls_for_a_template_that_wants_text() -> None:
    call = ToolCall(id="1", name="add", arguments_json='{"a": 2}')
    assert render(ADDING, user("?"), assistant("", call)) == '?;json {"a": 2};'


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (STRICT, "the model's chat template failed: roles must alternate"),
        ("{{ messages[9].content }}", "the model's chat template failed: .*no element 9"),
        ("{{ 1 + messages }}", "the model's chat template failed: unsupported operand"),
        ("{% for %}", "the model's chat template failed: "),
    ],
)
def test_failures(template: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        render(template, user("one"), user("two"))
