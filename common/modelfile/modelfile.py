"""A Modelfile as values, read from its text and written as text."""

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from common.errors import InvalidRequest
from common.gotemplate.printing import to_text
from common.modelfile.instructions import Instruction, in_line, quote, read_instructions
from common.modelfile.parameters import collect_parameters, single_values
from common.modelfile.version import check_version

_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Turn(NamedTuple):
    """A MESSAGE."""

    role: str
    content: str


@dataclass(frozen=True)
class Modelfile:
    """What a Modelfile says. Of what can be said once, the last counts."""

    sources: tuple[str, ...]
    """What stands behind FROM: names, paths or digests. There is at least one."""

    adapters: tuple[str, ...] = ()
    drafts: tuple[str, ...] = ()
    template: str | None = None
    system: str | None = None
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    licenses: tuple[str, ...] = ()
    messages: tuple[Turn, ...] = ()


def decode_modelfile(content: bytes) -> str:
    """Decode a file: UTF-8, or UTF-16 where it begins with a byte order mark.

    Raises:
        InvalidRequest: it is no text.
    """
    encoding = "utf-16" if content.startswith(_BOMS) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"a Modelfile must be UTF-8 or UTF-16 text: {error}") from None


def parse_modelfile(text: str) -> Modelfile:
    """Read a Modelfile.

    Raises:
        InvalidRequest: it breaks the grammar, has no FROM, or a parameter or a version is
            none; the message is Ollama's, and names the line.
    """
    instructions = list(read_instructions(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")))

    def all_of(name: str) -> list[Instruction]:
        return [found for found in instructions if found.name == name]

    def texts(name: str) -> tuple[str, ...]:
        return tuple(found.text for found in all_of(name))

    def last(name: str) -> str:
        return next(reversed(texts(name)), "")

    if not texts("from"):
        raise InvalidRequest("no FROM line")
    return Modelfile(
        sources=texts("from"),
        adapters=texts("adapter"),
        drafts=texts("draft"),
        template=last("template") if texts("template") else None,
        system=last("system") if texts("system") else None,
        renderer=last("renderer"),
        parser=last("parser"),
        requires=next(map(_version, reversed(all_of("requires"))), ""),
        parameters=collect_parameters(all_of("parameter")),
        licenses=texts("license"),
        messages=tuple(Turn(found.subject, found.text) for found in all_of("message")),
    )


def write_modelfile(modelfile: Modelfile) -> str:
    """Write a Modelfile that `parse_modelfile` reads back as it was.

    What no Modelfile can hold is written all the same: a line within a text that ends with
    three quotation marks.
    """
    return "".join(f"{line}\n" for line in _lines(modelfile))


def _lines(modelfile: Modelfile) -> Iterator[str]:
    for name, texts in (
        ("FROM", modelfile.sources),
        ("ADAPTER", modelfile.adapters),
        ("DRAFT", modelfile.drafts),
        ("TEMPLATE", _if_given(modelfile.template)),
        ("SYSTEM", _if_given(modelfile.system)),
        ("RENDERER", _if_given(modelfile.renderer or None)),
        ("PARSER", _if_given(modelfile.parser or None)),
        ("REQUIRES", _if_given(modelfile.requires or None)),
    ):
        yield from (f"{name} {quote(text)}" for text in texts)
    for parameter, value in single_values(modelfile.parameters):
        yield f"PARAMETER {parameter} {quote(to_text(value))}"
    yield from (f"LICENSE {quote(text)}" for text in modelfile.licenses)
    yield from (f"MESSAGE {role} {quote(content)}" for role, content in modelfile.messages)


def _if_given(text: str | None) -> tuple[str, ...]:
    return () if text is None else (text,)


def _version(instruction: Instruction) -> str:
    with in_line(instruction.line):
        return check_version(instruction.text)
