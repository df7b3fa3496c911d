"""The machine's own limit: hashing bytes and writing them to a file, at the same time."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from store.files import begin_writeback

CHUNK = 4 * 1024 * 1024
_WRITEBACK_SIZE = 32 * 1024 * 1024


def chunks(size: int, seed: int) -> Iterator[bytes]:
    """Give bytes that no two seeds share and nothing compresses, without a disk."""
    block = hashlib.shake_256(seed.to_bytes(8)).digest(CHUNK)
    for number, start in enumerate(range(0, size, CHUNK)):
        length = min(CHUNK, size - start)
        yield number.to_bytes(8) + block[8:length]


def digest(size: int, seed: int) -> str:
    """Give the SHA-256 of these bytes, as blobs are named."""
    hasher = hashlib.sha256()
    for chunk in chunks(size, seed):
        hasher.update(chunk)
    return f"sha256:{hasher.hexdigest()}"


def hash_and_write(pieces: Iterable[bytes], target: Path) -> None:
    """Hash pieces on one thread, write them on another, and make them durable.

    The next piece is made, or comes, meanwhile; the disk is at work from early on.
    """
    hasher = hashlib.sha256()
    written = begun = 0
    with target.open("wb", buffering=0) as file, ThreadPoolExecutor(2) as threads:
        hashing: Future[None] = threads.submit(lambda: None)
        writing: Future[int] = threads.submit(int)
        for piece in pieces:
            written += writing.result()
            hashing.result()
            if written - begun >= _WRITEBACK_SIZE:
                begin_writeback(file, begun, written - begun)
                begun = written
            hashing = threads.submit(hasher.update, piece)
            writing = threads.submit(file.write, piece)
        writing.result()
        hashing.result()
        os.fsync(file.fileno())
