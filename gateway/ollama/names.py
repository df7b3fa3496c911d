"""Model names as requests carry them."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import InvalidName, ModelNotFound
from common.names import ModelName

_LOCAL = ":local"


def clean_name(text: str) -> str:
    """Drop what Ollama ignores: surrounding white space and the suffix `:local`.

    Raises:
        InvalidName: what is left is no model name.
    """
    name = text.strip()
    if name.lower().endswith(_LOCAL):
        name = name[: -len(_LOCAL)]
        if name.lower().endswith(":cloud"):
            raise InvalidName("use either :local or :cloud, not both")
    ModelName.parse(name)
    return name


@contextmanager
def not_found_as(message: str) -> Iterator[None]:
    """Report a model that does not exist in the words of one endpoint."""
    try:
        yield
    except ModelNotFound:
        raise ModelNotFound(message) from None
