"""Where Hugging Face models keep their chat templates."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from services.registry.contents import Contents
from services.registry.errors import in_file

DEFAULT = "default"
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
