"""Where Hugging Face models keep their chat templates."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from common.errors import InvalidModel
from services.registry.contents import Contents
from services.registry.errors import in_file

DEFAULT = "default"
_LONGEST = 1024 * 1024  # characters; known ones have at most 20 thousand
_FOLDER = "additional_chat_templates/"


async def read_chat_templates(contents: Contents, files: Mapping[str, str]) -> dict[str, str]:
    """Read a model's Jinja chat templates by name; the one to use is `default`.

    A file of its own comes before the tokenizer's and the processor's configuration, as
    in `transformers`.
    """
    templates: dict[str, str] = {}
    for path in ("chat_template.json", "tokenizer_config.json"):
        if path in files:
            with in_file(path):
                templates |= templates_of(await contents.document(files[path]))
    for path, name in _template_files(files):
        with in_file(path):
            templates[name] = await contents.text(files[path])
    return templates


def _template_files(files: Iterable[str]) -> Iterator[tuple[str, str]]:
    for path in files:
        if path == "chat_template.jinja":
            yield path, DEFAULT
        elif path.startswith(_FOLDER) and path.endswith(".jinja"):
            yield path, path.removeprefix(_FOLDER).removesuffix(".jinja")


def check_chat_template(text: str) -> None:
    """Hold a chat template to be Jinja as `transformers` reads it; blocks.

    Raises:
        InvalidModel: it is not; the message names the line.
    """
    if len(text) > _LONGEST:
        raise InvalidModel(f"the chat template is longer than {_LONGEST} characters")
    try:
        _ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        raise InvalidModel(f"line {error.lineno} of the chat template: {error.message}") from error
    except RecursionError:
        raise InvalidModel("the chat template is nested too deeply") from None


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
