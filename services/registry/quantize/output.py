"""A file that is being made: its size is known before its bytes are."""

from collections.abc import AsyncIterator
from typing import NamedTuple


class Output(NamedTuple):
    """A file to be written."""

    size: int
    """In bytes."""

    pieces: AsyncIterator[bytes]
