"""Renders dialogues with the model's own chat template."""

import functools
import json
from pathlib import Path
from typing import Any

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE = Path(__file__).parent / "chat_template.jinja"

Message = dict[str, Any]
Tool = dict[str, Any]


def _tojson(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@functools.cache
def _template() -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = _tojson
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def render(messages: list[Message], tools: list[Tool] | None = None, thinking: bool = True) -> str:
    """Return the prompt that asks the model for the next message."""
    return _template().render(
        messages=messages, tools=tools, enable_thinking=thinking, add_generation_prompt=True
    )


def completion(answer: str, thought: str = "", thinking: bool = True) -> str:
    """Return what the model writes after such a prompt, its end token included.

    Where thinking is allowed the model always closes a think block, if need be an empty one:
    readers of this format take everything before the closing tag for a thought.
    """
    block = f"<think>\n{thought}\n</think>\n\n" if thinking else ""
    return f"{block}{answer}<|im_end|>"
