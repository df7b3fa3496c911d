"""Errors that say which model, or which of its files, they are about."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import BlobNotFound, InvalidModel, InvalidRequest


class UnreadKind(InvalidModel):
    """A sound file, perhaps, of a kind that is not read here; travels as `InvalidModel`."""

    @classmethod
    def reason(cls) -> str:
        """Name the kind that other processes know."""
        return InvalidModel.reason()


# How errors about Modelfiles begin, up to where they quote the file.
_KIND = re.compile(
    r"\(line \d+\): (?:command must be .*|message role must be .*|unexpected EOF"
    r"|unknown parameter|invalid (?:int|float|bool) value|requires must be a valid semver)"
    r"|unexpected EOF: the quote that begins in line \d+|no FROM line"
    r"|a Modelfile must be UTF-8 or UTF-16 text"
)


@contextmanager
def in_file(path: str) -> Iterator[None]:
    """Put a file's path before the message of an `InvalidModel`."""
    try:
        yield
    except InvalidModel as error:
        kind = UnreadKind if isinstance(error, UnreadKind) else InvalidModel
        raise kind(f"{path}: {error.message}") from error


@contextmanager
def in_model(name: str) -> Iterator[None]:
    """Say which stored model is damaged; a blob that is missing is damage, not absence."""
    try:
        yield
    except (InvalidModel, BlobNotFound) as error:
        raise InvalidModel(f"model '{name}' is damaged: {error.message}") from error


@contextmanager
def unquoted(path: str) -> Iterator[None]:
    """Say what is wrong with the Modelfile of a path without quoting it.

    Whoever named the path may have named any file, which this process can read and they
    cannot.
    """
    try:
        yield
    except InvalidRequest as error:
        kind = _KIND.match(error.message)
        raise InvalidRequest(f"{path}: {kind[0] if kind else 'not a Modelfile'}") from None
