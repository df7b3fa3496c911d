"""Reading a Modelfile, and finding what it names on this machine."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.create.local_files import (
    NO_MODEL,
    adapter_files,
    find_path,
    is_plainly_a_path,
    model_files,
    name_files,
)
from cli.failure import CommandFailed
from common.digests import parse_digest
from common.errors import InvalidDigest
from common.modelfile.modelfile import Modelfile, decode_modelfile, parse_modelfile

DEFAULT_NAME = "Modelfile"
_STANDARD_INPUT = "-"
_BLOB = "@"


@dataclass(frozen=True)
class Ingredients:
    """What a model is made of, before anything is uploaded."""

    base: str = ""
    """A model of the server; empty: the files."""

    files: Mapping[str, Path] = field(default_factory=dict)
    """Path in the model's folder to a file of this machine."""

    adapters: Mapping[str, Path] = field(default_factory=dict)
    """Path in an adapter's folder to a file of this machine."""

    file_blobs: Mapping[str, str] = field(default_factory=dict)
    """Like `files`: digests of blobs that the server has already."""

    adapter_blobs: Mapping[str, str] = field(default_factory=dict)
    """Like `adapters`: digests of blobs that the server has already."""


def read_modelfile(file: str) -> tuple[Modelfile, Path]:
    """Read a Modelfile; give it and the folder that its paths begin at.

    Args:
        file: its path; `-` is standard input, and an empty text the file `Modelfile` of this
            folder, or without one the model that lies in this folder.

    Raises:
        CommandFailed: it is not there, or cannot be read.
        InvalidRequest: it breaks the grammar.
    """
    if file == _STANDARD_INPUT:
        return parse_modelfile(decode_modelfile(sys.stdin.buffer.read())), Path()
    path = Path(file or DEFAULT_NAME)
    if not file and not path.exists():
        return _model_of_this_folder(), Path()
    try:
        return parse_modelfile(decode_modelfile(path.read_bytes())), path.parent
    except FileNotFoundError:
        raise CommandFailed(f"specified Modelfile wasn't found: {file}") from None
    except OSError as error:
        raise CommandFailed(f"cannot read {path}: {error.strerror}") from None


def find_ingredients(modelfile: Modelfile, folder: Path) -> Ingredients:
    """Find what stands behind FROM and ADAPTER: files first, as a name may be one's, too.

    Raises:
        CommandFailed: a file is missing, or there are several models to start from.
        InvalidDigest: what begins with `@` is no digest.
    """
    if modelfile.drafts:
        raise CommandFailed("DRAFT: draft models are not served")
    blobs = _blobs("model", modelfile.sources)
    files: list[Path] = []
    names: list[str] = []
    for source in modelfile.sources:
        if _digest_in(source):
            continue
        if path := find_path(source, folder):
            files.extend(model_files(path))
        else:
            names.append(_name(source))
    if len(names) + bool(blobs) + bool(files) > 1:
        raise CommandFailed("FROM names several models; one can be started from")
    return Ingredients(
        base=names[0] if names else "",
        files=name_files(files),
        adapters=name_files(_adapters(modelfile, folder)),
        file_blobs=blobs,
        adapter_blobs=_blobs("adapter", modelfile.adapters),
    )


def create_fields(modelfile: Modelfile) -> dict[str, Any]:
    """Give the fields of a create request that a Modelfile's other instructions make."""
    fields = {
        "template": modelfile.template,
        "system": modelfile.system,
        "renderer": modelfile.renderer,
        "parser": modelfile.parser,
        "requires": modelfile.requires,
        "parameters": dict(modelfile.parameters),
        "license": list(modelfile.licenses),
        "messages": [message._asdict() for message in modelfile.messages],
    }
    return {name: value for name, value in fields.items() if value}


def takes_away(modelfile: Modelfile) -> bool:
    """Tell whether it takes a text of the base's away, for which a request has no field."""
    return "" in (modelfile.template, modelfile.system)


def _model_of_this_folder() -> Modelfile:
    try:
        model_files(Path())
    except CommandFailed:
        raise CommandFailed(NO_MODEL) from None
    return Modelfile(sources=(".",))


def _name(source: str) -> str:
    if is_plainly_a_path(source):
        raise CommandFailed(f"no such file or folder: {source}")
    return source


def _blobs(name: str, sources: Sequence[str]) -> dict[str, str]:
    """Number the blobs among sources: what a blob is called nobody knows, its content tells."""
    digests = filter(None, map(_digest_in, sources))
    return {f"{name}-{number}": digest for number, digest in enumerate(digests, 1)}


def _digest_in(source: str) -> str:
    """Read the digest of an uploaded blob, with or without `@` before it."""
    try:
        return parse_digest(source.removeprefix(_BLOB))
    except InvalidDigest:
        if source.startswith(_BLOB):
            raise
        return ""


def _adapters(modelfile: Modelfile, folder: Path) -> list[Path]:
    found: list[Path] = []
    for adapter in modelfile.adapters:
        if _digest_in(adapter):
            continue
        path = find_path(adapter, folder)
        if not path:
            raise CommandFailed(f"no such file or folder: {adapter}")
        found.extend(adapter_files(path))
    return found
