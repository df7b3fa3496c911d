"""The beginning of a GGUF file, read one value after the other."""

from collections.abc import Iterator
from struct import Struct

from common.errors import InvalidModel

MAX_HEADER_SIZE = 128 * 1024 * 1024  # known ones have at most 20 MiB, nearly all of it tokens
MAX_STRING_SIZE = 16 * 1024 * 1024  # as in Ollama

_LENGTH = Struct("<Q")


class Incomplete(Exception):
    """What was read of the file ends before its header does."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed
        """Bytes of the file that have to be read at least."""


class Cursor:
    """A place in the first bytes of a file of known size.

    Each method raises `Incomplete` where those bytes end, and `InvalidModel` where the file
    does.
    """

    def __init__(self, data: bytes, file_size: int) -> None:
        self._data = data
        self._file_size = file_size
        self.position = 0

    def take(self, size: int) -> bytes:
        """Give the next bytes."""
        start = self._pass(size)
        return self._data[start : self.position]

    def number(self, kind: Struct) -> int | float:
        """Read one number."""
        start = self._pass(kind.size)
        value: int | float = kind.unpack_from(self._data, start)[0]
        return value

    def numbers(self, kind: Struct, count: int) -> list[int | float]:
        """Read numbers of one kind."""
        return [value for (value,) in kind.iter_unpack(self.take(kind.size * count))]

    def skip(self, size: int) -> None:
        """Pass over bytes."""
        self._pass(size)

    def string(self) -> bytes:
        """Read a length and that many bytes."""
        return self.take(self._string_size())

    def strings(self, count: int) -> Iterator[bytes]:
        """Read strings."""
        for _ in range(count):
            yield self.string()

    def skip_strings(self, count: int) -> None:
        """Pass over strings."""
        for _ in range(count):
            self._pass(self._string_size())

    def _string_size(self) -> int:
        start = self._pass(_LENGTH.size)
        size: int = _LENGTH.unpack_from(self._data, start)[0]
        if size > MAX_STRING_SIZE:
            raise InvalidModel(f"damaged GGUF header: a text of {size} bytes")
        return size

    def _pass(self, size: int) -> int:
        """Move on; give the place before."""
        start = self.position
        end = start + size
        if end > len(self._data):
            if end > self._file_size:
                raise InvalidModel("truncated: the file ends within its header")
            if end > MAX_HEADER_SIZE:
                raise InvalidModel(f"its header is larger than {MAX_HEADER_SIZE} bytes")
            raise Incomplete(end)
        self.position = end
        return start
