"""How endpoints word that a model does not exist."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import ModelNotFound


@contextmanager
def not_found_as(message: str) -> Iterator[None]:
    """Report a model that does not exist in the words of one endpoint."""
    try:
        yield
    except ModelNotFound:
        raise ModelNotFound(message) from None
