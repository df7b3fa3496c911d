"""Chat templates in Jinja, as Hugging Face's tokenizers have them: what they use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from common.errors import InvalidModel

DEFAULT = "default"
_LONGEST = 256 * 1024  # characters, of all together; known ones have at most 20 thousand each


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template whose syntax is known to be good."""

    text: str
    variables: frozenset[str]
    """The names that its code reads."""


def check_length(templates: Mapping[str, str]) -> None:
    """Hold the texts of all templates together to be of a sane length.

    Raises:
        InvalidModel: they are too long.
    """
    if sum(map(len, templates.values())) > _LONGEST:
        raise InvalidModel(f"the chat template is longer than {_LONGEST} characters")


def parse_chat_template(text: str) -> ChatTemplate:
    """Read a chat template as `transformers` does; blocks.

    Raises:
        InvalidModel: it is no Jinja; the message names the line.
    """
    try:
        return ChatTemplate(text, _variables(_ENVIRONMENT.parse(text)))
    except TemplateSyntaxError as error:
        raise InvalidModel(f"line {error.lineno} of the chat template: {error.message}") from error
    except RecursionError:
        raise InvalidModel("the chat template is nested too deeply") from None
    except ValueError:
        raise InvalidModel("the chat template holds a number that is too long") from None


def _variables(template: nodes.Template) -> frozenset[str]:
    """Give the names that a template reads.

    `jinja2.meta.find_undeclared_variables` compiles, which computes constant expressions of
    any size and knows only some of the filters that there are when a template is rendered.
    """
    names: set[str] = set()
    waiting: list[nodes.Node] = [template]
    while waiting:
        node = waiting.pop()
        if isinstance(node, nodes.Name) and node.ctx == "load":
            names.add(node.name)
        waiting.extend(node.iter_child_nodes())
    return frozenset(names)


class _Generation(Extension):
    """`{% generation %}`, with which templates mark the assistant's part for training."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


_ENVIRONMENT = Environment(
    extensions=[_Generation, "jinja2.ext.loopcontrols"], trim_blocks=True, lstrip_blocks=True
)


def templates_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Read the `chat_template` of a configuration: one text, or a list of named ones."""
    found = document.get("chat_template")
    if isinstance(found, str):
        return {DEFAULT: found}
    if not isinstance(found, list):
        return {}
    return {
        str(item.get("name")): item["template"]
        for item in found
        if isinstance(item, dict) and isinstance(item.get("template"), str)
    }
