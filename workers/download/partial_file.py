"""A file that is being downloaded, with a journal of the ranges of it that are whole.

The journal has a byte for each range, which is set after the range's last byte was written.
It is a hint that saves reading again after a crash; whether the file is right, its digest
tells, which is made of the bytes on the disk.
"""

import hashlib
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from threading import Condition

_PIECE = 1 << 20
_WHOLE = b"\1"


class Range:
    """Bytes from `start` to `end` of a file, of which those before `position` are here."""

    def __init__(self, index: int, start: int, end: int) -> None:
        self.index = index
        self.position = start
        self.end = end


class PartialFile:
    """Written by several threads while another one hashes it in order.

    `received` is told of the bytes that are here already and of each that is written; it is
    called on any thread.

    Raises:
        OSError: the disk is full, or the like; so do all methods.
    """

    def __init__(
        self,
        path: Path,
        journal: Path,
        size: int,
        range_size: int,
        received: Callable[[int], None],
    ) -> None:
        self.size = size
        self._received = received
        self._range_size = range_size
        self._count = -(-size // range_size)
        self._data = _open(path, self)
        self._journal = _open(journal, self)
        self._whole = bytearray(self._prepare())
        self._changed = Condition()
        self.resumed = size - sum(part.end - part.position for part in self.missing())
        """Bytes that were here at the beginning."""
        received(self.resumed)

    def missing(self) -> list[Range]:
        """Give the ranges that are not whole, in order."""
        return [self._range(index) for index in range(self._count) if not self._whole[index]]

    def write(self, part: Range, piece: bytes | memoryview) -> None:
        """Write the next bytes of a range."""
        rest = memoryview(piece)
        while rest:
            written = os.pwrite(self._data, rest, part.position)
            part.position += written
            self._received(written)
            rest = rest[written:]

    def complete(self, part: Range) -> None:
        """Note that a range is whole."""
        os.pwrite(self._journal, _WHOLE, part.index)
        with self._changed:
            self._whole[part.index] = 1
            self._changed.notify_all()

    def hexdigest(self) -> str:
        """Hash the file in order, each range as soon as it is whole."""
        hasher = hashlib.sha256()
        buffer = memoryview(bytearray(min(_PIECE, self.size)))
        for index in range(self._count):
            with self._changed:
                self._changed.wait_for(lambda: self._whole[index])  # noqa: B023
            part = self._range(index)
            while part.position < part.end:
                wanted = buffer[: part.end - part.position]
                size = os.preadv(self._data, [wanted], part.position)
                if not size:
                    raise OSError("a file that is being downloaded was cut short")
                hasher.update(wanted[:size])
                part.position += size
        return hasher.hexdigest()

    def _range(self, index: int) -> Range:
        start = index * self._range_size
        return Range(index, start, min(start + self._range_size, self.size))

    def _prepare(self) -> bytes:
        """Give the journal as it is if it belongs to this file, else begin anew."""
        if os.fstat(self._data).st_size == self.size:
            journal = os.pread(self._journal, self._count + 1, 0)
            if len(journal) == self._count:
                return journal
        os.ftruncate(self._journal, 0)  # first: a journal must never be ahead of its file
        os.ftruncate(self._data, 0)
        os.ftruncate(self._journal, self._count)
        if self.size:
            os.posix_fallocate(self._data, 0, self.size)
        return bytes(self._count)


def _open(path: Path, owner: PartialFile) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    weakref.finalize(owner, os.close, descriptor)
    return descriptor
