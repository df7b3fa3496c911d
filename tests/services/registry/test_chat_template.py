import time
from typing import Any

import pytest

from common.errors import InvalidModel
from services.registry.chat_template import parse_chat_template, templates_of


@pytest.mark.parametrize(
    ("document", "templates"),
    [
        ({}, {}),
        ({"chat_template": "x"}, {"default": "x"}),
        ({"chat_template": None}, {}),
        (
            {
                "chat_template": [
                    {"name": "default", "template": "x"},
                    {"name": "tool_use", "template": "y"},
                    {"name": "broken"},
                ]
            },
            {"default": "x", "tool_use": "y"},
        ),
    ],
)
def test_templates_of_a_configuration(document: dict[str, Any], templates: dict[str, str]) -> None:
    assert templates_of(document) == templates


@pytest.mark.parametrize(
    ("template", "uses"),
    [
        ("{% if tools is not none %}x{% endif %}", True),
        ("{{- tools | tojson -}}", True),
        ("{%- for tool in tools %}{% endfor %}", True),
        ("{% generation %}{{ tools | strftime_now }}{% endgeneration %}", True),
        ("{%- if not tools is defined %}{%- set tools = none %}{%- endif %}", True),
        ("You have no tools.", False),
        ("{{ 'You have no tools' }}", False),
        ('{{ message["tools"] }}', False),
        ("{{ my_tools }}", False),
        ("{% set tools = 1 %}", False),
        ("{# {{ tools }} #}", False),
        ("{% set x = 'it\\'s' %}{{ tools }}", True),
        ("{{ 9 ** 9 ** 9 ** 9 }}{{ tools }}", True),
    ],
)
def test_variables_of_a_template(template: str, uses: bool) -> None:
    assert ("tools" in parse_chat_template(template).variables) is uses


@pytest.mark.parametrize(
    "template",
    [
        "{{" * 100_000,
        "{%" * 100_000,
        "{#" * 100_000,
        "{{ '" + "\\'" * 100_000,
        "{{ " + "(" * 200_000,
        "{{ " + "9" * 200_000 + " }}",
        "{% raw" + " " * 200_000,
    ],
)
def test_damaged_templates_take_no_time(template: str) -> None:
    begin = time.process_time()
    with pytest.raises(InvalidModel, match="the chat template"):
        parse_chat_template(template)
    assert time.process_time() - begin < 5


def test_a_long_expression() -> None:
    assert parse_chat_template("{{ a" + "+a" * 100_000 + " }}").variables == {"a"}
