"""The chat templates of a Hugging Face model: where its files keep them."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from services.registry.chat_template import (
    DEFAULT,
    ChatTemplate,
    check_length,
    parse_chat_template,
    templates_of,
)
from services.registry.contents import Contents
from services.registry.errors import in_file

_FOLDER = "additional_chat_templates/"


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
        check_length(templates)
    check_length(templates)
    return templates


def _template_files(files: Iterable[str]) -> Iterator[tuple[str, str]]:
    for path in files:
        if path == "chat_template.jinja":
            yield path, DEFAULT
        elif path.startswith(_FOLDER) and path.endswith(".jinja"):
            yield path, path.removeprefix(_FOLDER).removesuffix(".jinja")
