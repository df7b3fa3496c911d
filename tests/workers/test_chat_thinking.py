from typing import Any

import pytest

from protos.paddock.v1.generation_pb2 import (
    THINK_HIGH,
    THINK_LOW,
    THINK_MAX,
    THINK_MEDIUM,
    THINK_OFF,
    THINK_ON,
    THINK_UNSPECIFIED,
    Think,
)
from workers.chat_thinking import thinking_arguments

QWEN = "{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}"
GRANITE = "{%- if thinking %}Think.{% endif %}"
COHERE = "{% set reasoning = reasoning if reasoning is not undefined else true %}{{ reasoning }}"
GPT_OSS = (
    "{% macro system() %}{% if reasoning_effort is not defined %}"
    '{% set reasoning_effort = "medium" %}{% endif %}{{ reasoning_effort }}{% endmacro %}'
    "{{ system() }}"
)
NONE_OR_HIGH = (
    "{% set reasoning_effort = reasoning_effort | default('none') %}"
    "{% if reasoning_effort not in ['none', 'high'] %}{{ raise_exception('no') }}{% endif %}"
)
HUNYUAN = "{% if reasoning_effort == 'no_think' %}{% elif reasoning_effort == 'low' %}{% endif %}"
DEEP = "{% if reasoning_effort == 'max' %}{% endif %}{% if thinking %}{% endif %}"
LOCAL = (
    "{% for message in messages %}{% set thinking = message.thinking %}{{ thinking }}"
    "{% endfor %}{% generation %}{% endgeneration %}{% break %}"
)


@pytest.mark.parametrize(
    ("template", "think", "arguments"),
    [
        (QWEN, THINK_ON, {"enable_thinking": True}),
        (QWEN, THINK_LOW, {"enable_thinking": True}),
        (QWEN, THINK_OFF, {"enable_thinking": False}),
        (QWEN, THINK_UNSPECIFIED, {"enable_thinking": False}),
        (GRANITE, THINK_ON, {"thinking": True}),
        (COHERE, THINK_OFF, {"reasoning": False}),
        (GPT_OSS, THINK_ON, {}),
        (GPT_OSS, THINK_OFF, {}),
        (GPT_OSS, THINK_LOW, {"reasoning_effort": "low"}),
        (GPT_OSS, THINK_MEDIUM, {"reasoning_effort": "medium"}),
        (GPT_OSS, THINK_HIGH, {"reasoning_effort": "high"}),
        (GPT_OSS, THINK_MAX, {"reasoning_effort": "high"}),
        (NONE_OR_HIGH, THINK_ON, {"reasoning_effort": "high"}),
        (NONE_OR_HIGH, THINK_OFF, {"reasoning_effort": "none"}),
        (HUNYUAN, THINK_OFF, {"reasoning_effort": "no_think"}),
        (HUNYUAN, THINK_LOW, {"reasoning_effort": "low"}),
        (DEEP, THINK_MAX, {"thinking": True, "reasoning_effort": "max"}),
        (DEEP, THINK_ON, {"thinking": True}),
        (DEEP, THINK_OFF, {"thinking": False}),
        ("{{ messages }} enable_thinking", THINK_ON, {}),
        ("{{ messages[0].enable_thinking }}{{ 'thinking' }}", THINK_ON, {}),
        ("{% broken", THINK_ON, {}),
    ],
)
def test_each_family_is_told_in_its_words(
    template: str, think: Think.ValueType, arguments: dict[str, Any]
) -> None:
    assert thinking_arguments(template, think) == arguments


def test_a_variable_of_the_template_s_own_is_left_alone() -> None:
    assert thinking_arguments(LOCAL, THINK_ON) == {}
