"""The chat templates of Hugging Face models: where they are kept, and what they use."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from common.errors import InvalidModel
from services.registry.contents import Contents
from services.registry.errors import in_file

DEFAULT = "default"
_LONGEST = 256 * 1024  # characters, of all together; known ones have at most 20 thousand each
_FOLDER = "additional_chat_templates/"


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template whose syntax is known to be good."""

    text: str
    variables: frozenset[str]
    """The names that its code reads."""


async def read_chat_templates(
    contents: Contents, files: Mapping[str, str]
) -> dict[str, ChatTemplate]:
    """Read a model's Jinja chat templates by name; the one to use is `default`.

    A file of its own comes before the tokenizer's and the processor's configuration, as
    in `transformers`.

    Raises:
        InvalidModel: one is no Jinja, or they are too long.
    """
    texts = await _read_texts(contents, files)
    return {
        name: await asyncio.to_thread(parse_chat_template, text) for name, text in texts.items()
    }


async def _read_texts(contents: Contents, files: Mapping[str, str]) -> dict[str, str]:
    templates: dict[str, str] = {}
    for path in ("chat_template.json", "tokenizer_config.json"):
        if path in files:
            with in_file(path):
                templates |= templates_of(await contents.document(files[path]))
    for path, name in _template_files(files):
        with in_file(path):
            templates[name] = await contents.text(files[path])
        _check_length(templates)
    _check_length(templates)
    return templates


def _check_length(templates: Mapping[str, str]) -> None:
    if sum(map(len, templates.values())) > _LONGEST:
        raise InvalidModel(f"the chat template is longer than {_LONGEST} characters")


def _template_files(files: Iterable[str]) -> Iterator[tuple[str, str]]:
    for path in files:
        if path == "chat_template.jinja":
            yield path, DEFAULT
        elif path.startswith(_FOLDER) and path.endswith(".jinja"):
            yield path, path.removeprefix(_FOLDER).removesuffix(".jinja")


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
