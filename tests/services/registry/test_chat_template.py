from typing import Any

import pytest

from services.registry.chat_template import templates_of


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
