"""A SHA-256 of bytes that follow those of a file."""

import hashlib
import os
from threading import Event

from common.errors import Canceled, StoreFailed
from store.files import store_errors
from store.upload import Bytes

_CHUNK_SIZE = 4 * 1024 * 1024


class PrefixHash:
    """Hashes the first bytes of a file before all else, when it is first used.

    A file that has grown after these bytes, or is being written there, is none the worse.
    """

    def __init__(self, descriptor: int, length: int) -> None:
        self._descriptor = descriptor
        self._length = length
        self._read = 0
        self._hash = hashlib.sha256()
        self._interrupted = Event()

    def interrupt(self) -> None:
        """Make a method that is still reading the file raise `Canceled`."""
        self._interrupted.set()

    def update(self, data: Bytes) -> None:
        """Consume bytes after those of the file.

        Raises:
            Canceled: it was interrupted.
            StoreFailed: the file cannot be read.
        """
        self._catch_up()
        self._hash.update(data)

    def hexdigest(self) -> str:
        """Give the digest; raises as `update` does."""
        self._catch_up()
        return self._hash.hexdigest()

    @store_errors()
    def _catch_up(self) -> None:
        while self._read < self._length:
            if self._interrupted.is_set():
                raise Canceled
            wanted = min(_CHUNK_SIZE, self._length - self._read)
            chunk = os.pread(self._descriptor, wanted, self._read)
            if not chunk:
                raise StoreFailed("an unfinished upload was cut short")
            self._hash.update(chunk)
            self._read += len(chunk)
