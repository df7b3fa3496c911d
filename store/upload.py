"""A blob on its way into a store."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from common.errors import Canceled, DigestMismatch, InvalidRequest

Bytes: TypeAlias = bytes | bytearray | memoryview
"""What an upload takes. It must not change once it has been handed over."""


class Hash(Protocol):
    """What is used of a SHA-256 of `hashlib`'s; it runs on a thread of its own."""

    def update(self, data: Bytes, /) -> None:
        """Consume bytes."""

    def hexdigest(self) -> str:
        """Give the digest of all that was consumed."""


class Upload(ABC):
    """Takes a blob's bytes in order, and publishes them once they prove to be right.

    The digest is computed here, on a thread of its own, while a backend stores the same
    bytes. Used as a context manager it aborts on leaving unless it was committed. Calls
    may come from several threads and wait for each other.

    It ends in one of three ways. It is published by `commit`; or discarded, when nobody
    wants it kept or its bytes have proved to be wrong; or else suspended, so that another
    upload can go on from what is stored.
    """

    def __init__(
        self,
        digest: str | None,
        size: int | None,
        *,
        keep: bool = False,
        offset: int = 0,
        sha256: Hash | None = None,
    ) -> None:
        """Begin.

        Args:
            digest: what the bytes must have, where it is known.
            size: how many there are in all, where it is known.
            keep: suspend rather than discard. A backend that finds out that what it has
                stored is lost sets `_keep` to False.
            offset: bytes that are stored already; `write` takes those after them.
            sha256: a hash that has consumed just these bytes.
        """
        self._expected_digest = digest
        self._expected_size = size
        self._keep = keep
        self._size = offset
        self._hash: Hash = sha256 or hashlib.sha256()
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="hash")
        self._hashed: Future[None] | None = None
        self._lock = Lock()
        self._ended = False

    def write(self, data: Bytes) -> None:
        """Append bytes. A failure aborts the upload.

        Raises:
            InvalidRequest: they pass the declared size.
            Canceled: the upload has ended.
        """
        with self._lock, self._failing_for_good():
            self._size += len(data)
            if self._expected_size is not None and self._size > self._expected_size:
                self._keep = False
                raise InvalidRequest(
                    f"blob is longer than the declared {self._expected_size} bytes"
                )
            # What was written last may still be hashed, so that neither waits for the other's
            # slowest moments.
            self._finish_hashing()
            self._hashed = self._hashing.submit(self._hash.update, data)
            self._append(data)

    def commit(self) -> tuple[str, int]:
        """Publish the blob so that it survives a power cut; give its digest and size.

        A failure aborts the upload.

        Raises:
            DigestMismatch: the bytes have another digest than the one expected.
            InvalidRequest: they are fewer than declared.
            Canceled: the upload has ended.
        """
        with self._lock, self._failing_for_good():
            digest = self._verified_digest()
            self._publish(digest)
            self._stop()
            return digest, self._size

    def abort(self) -> None:
        """Suspend or discard what was written. Does nothing once the upload has ended."""
        self._interrupt()
        with self._lock:
            if not self._ended:
                self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    @abstractmethod
    def _append(self, data: Bytes) -> None:
        """Store bytes where no reader sees them."""

    @abstractmethod
    def _publish(self, digest: str) -> None:
        """Make the bytes durable, then visible under their digest in one step."""

    @abstractmethod
    def _suspend(self) -> None:
        """Leave what was stored to a later upload, which may begin as soon as this returns."""

    @abstractmethod
    def _discard(self) -> None:
        """Remove what was stored."""

    @abstractmethod
    def _interrupt(self) -> None:
        """Make calls of this class that run in other threads fail soon, where they can."""

    @contextmanager
    def _failing_for_good(self) -> Iterator[None]:
        if self._ended:
            raise Canceled("the upload has ended")
        try:
            yield
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._interrupt()
        self._stop()
        if self._keep:
            self._suspend()
        else:
            self._discard()

    def _stop(self) -> None:
        self._ended = True
        self._hashing.shutdown()

    def _finish_hashing(self) -> None:
        if self._hashed:
            self._hashed.result()

    def _verified_digest(self) -> str:
        if self._expected_size not in (None, self._size):
            raise InvalidRequest(
                f"blob has {self._size} bytes instead of the declared {self._expected_size}"
            )
        self._finish_hashing()
        digest = f"sha256:{self._hash.hexdigest()}"
        if self._expected_digest not in (None, digest):
            self._keep = False
            raise DigestMismatch(
                f'digest mismatch, expected "{self._expected_digest}", got "{digest}"'
            )
        return digest
