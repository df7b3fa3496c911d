"""Errors that say which model, or which of its files, they are about."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import BlobNotFound, InvalidModel


@contextmanager
def in_file(path: str) -> Iterator[None]:
    """Put a file's path before the message of an `InvalidModel`."""
    try:
        yield
    except InvalidModel as error:
        raise InvalidModel(f"{path}: {error.message}") from error


@contextmanager
def in_model(name: str) -> Iterator[None]:
    """Say which stored model is damaged; a blob that is missing is damage, not absence."""
    try:
        yield
    except (InvalidModel, BlobNotFound) as error:
        raise InvalidModel(f"model '{name}' is damaged: {error.message}") from error
