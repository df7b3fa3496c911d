"""Images that a prompt names by their paths, as one drags them into a terminal."""

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from cli.failure import CommandFailed

_MAX_SIZE = 100 * 10**6  # bytes
_START = re.compile(r"""(?<![^\s'"(\[{<:=,])(?:~[^/\s]*/|\.{0,2}/)""")
_END = re.compile(r"\.(?:jpe?g|png|webp)\b", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)")
_MAX_TRIES = 8
_MAX_LENGTH = 4096  # characters of a path
_QUOTES = "'\""
_HEADER = 12  # bytes


@dataclass(frozen=True)
class NamedImage:
    """An image in a prompt."""

    start: int
    end: int
    """Of its path in the prompt, with the quotes around it."""
    path: Path


def take_images(prompt: str) -> tuple[str, list[bytes]]:
    """Give a prompt without the paths of the images that it names, and the images.

    Raises:
        CommandFailed: a file is no image that a model can be sent, or cannot be read.
    """
    images = []
    rest, position = "", 0
    for named in find_images(prompt):
        images.append(_read(named.path))
        typer.echo(f"Added image '{named.path}'", err=True)
        rest += prompt[position : named.start]
        position = named.end
    return (rest + prompt[position:]).strip() if images else prompt, images


def find_images(prompt: str) -> Iterator[NamedImage]:
    """Find paths of files that exist: absolute ones, and those from `./`, `../` or `~`.

    Blanks in them may be escaped or quoted as in a shell, or stand as they are: the shortest text
    that is a file's name counts.
    """
    ends = [match.end() for match in _END.finditer(prompt)]
    position = 0
    while start := _START.search(prompt, position):
        position = start.end()
        if found := _image_at(prompt, start.start(), ends):
            position = found.end
            yield found


def _image_at(prompt: str, start: int, ends: Sequence[int]) -> NamedImage | None:
    next_end = bisect(ends, start)
    for end in ends[next_end : next_end + _MAX_TRIES]:
        text = prompt[start : min(end, start + _MAX_LENGTH)]
        if "\n" in text or end > start + _MAX_LENGTH:
            return None
        for path in dict.fromkeys((text, _ESCAPED.sub(r"\1", text))):
            if file := _file(path):
                before, after = prompt[max(start - 1, 0) : start], prompt[end : end + 1]
                is_quoted = before == after and before in _QUOTES and before
                return NamedImage(start - bool(is_quoted), end + bool(is_quoted), file)
    return None


def _file(text: str) -> Path | None:
    try:
        path = Path(text).expanduser()
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # no file can have such a name
        return None


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _MAX_SIZE:
            raise CommandFailed(f"couldn't process file {path}: it is larger than 100 MB")
        content = path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"couldn't process file {path}: {error.strerror}") from None
    if not _is_image(content[:_HEADER]):
        raise CommandFailed(f"couldn't process file {path}: it is no JPEG, PNG or WebP image")
    return content


def _is_image(header: bytes) -> bool:
    is_webp = header[:4] == b"RIFF" and header[8:12] == b"WEBP"
    return is_webp or header.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))
