"""The grammar of Modelfiles: one instruction after the other, each with a text.

A text reaches to the end of its line; or from one quotation mark, or three, to the same at
the end of a line. A line that begins with `#` is a comment. There are no escapes.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from common.errors import InvalidRequest

NAMES = (
    "from",
    "license",
    "template",
    "system",
    "adapter",
    "draft",
    "renderer",
    "parser",
    "parameter",
    "message",
    "requires",
)
ROLES = ("system", "user", "assistant")

_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_BLANKS = " \t"
_NAME = re.compile(r"([A-Za-z]+)[ \t]+")
_SUBJECT = re.compile(r"([^ \t\r\n]*)([ \t]+)?")
_WITH_SUBJECT = ("parameter", "message")
_QUOTES = ('"""', '"')

_NAME_LIST = ", ".join(f'"{name}"' for name in NAMES[:-1])
WRONG_NAME = f'command must be one of {_NAME_LIST}, or "{NAMES[-1]}"'
WRONG_ROLE = 'message role must be one of "system", "user", or "assistant"'


@dataclass(frozen=True)
class Instruction:
    """One instruction."""

    name: str
    """In lower case, such as "parameter"."""

    subject: str
    """Which parameter is set, or who says a message; else empty."""

    text: str

    line: int = field(default=0, compare=False)
    """In which it begins; the first is 1."""


@contextmanager
def in_line(number: int) -> Iterator[None]:
    """Put the number of a line before the message of an `InvalidRequest`."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(f"(line {number}): {error.message}") from None


def read_instructions(text: str) -> Iterator[Instruction]:
    """Read the instructions in their order.

    Raises:
        InvalidRequest: the text breaks the grammar; the message is Ollama's, and names
            the line.
    """
    lines = enumerate(_LINE.findall(text), 1)
    for number, line in lines:
        content = line.lstrip(_BLANKS)
        if not content.strip("\r\n") or content.startswith("#"):
            continue
        with in_line(number):
            name, rest = _cut_name(content)
            subject, rest = _cut_subject(name, rest)
        yield Instruction(name, subject, _read_text(number, rest, lines), number)


def quote(text: str) -> str:
    """Write a text so that it is read back as it is.

    That is impossible for one in which a line before the last ends with three quotation
    marks.
    """
    is_plain = text == text.strip() and not text.startswith('"') and len(_LINE.findall(text)) == 1
    if is_plain:
        return text
    mark = '"""' if '"' in text else '"'
    return f"{mark}{text}{mark}"


def _cut_name(line: str) -> tuple[str, str]:
    match = _NAME.match(line)
    if match and match[1].lower() in NAMES:
        return match[1].lower(), line[match.end() :]
    if line.isascii() and line.isalpha():
        raise InvalidRequest("unexpected EOF")
    raise InvalidRequest(WRONG_NAME)


def _cut_subject(name: str, rest: str) -> tuple[str, str]:
    if name not in _WITH_SUBJECT:
        return "", rest
    match = _SUBJECT.match(rest)
    if not match or not match[2]:
        raise InvalidRequest(f"unexpected EOF: {rest.strip() or name}")
    if name == "message" and match[1] not in ROLES:
        raise InvalidRequest(WRONG_ROLE)
    return match[1], rest[match.end() :]


def _read_text(number: int, rest: str, lines: Iterator[tuple[int, str]]) -> str:
    """Read a text that begins in the rest of a line and may go on in the lines after it."""
    first = rest.strip()
    mark = next((mark for mark in _QUOTES if first.startswith(mark)), "")
    if not mark:
        return first
    if len(first) >= 2 * len(mark) and first.endswith(mark):
        return first[len(mark) : -len(mark)]
    parts = [rest.lstrip()[len(mark) :]]
    for _, line in lines:
        if (end := line.rstrip()).endswith(mark):
            return "".join([*parts, end[: -len(mark)]])
        parts.append(line)
    raise InvalidRequest(f"unexpected EOF: the quote that begins in line {number} is never closed")
