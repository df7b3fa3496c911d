"""The machine's own limit: hashing bytes and writing them to a file, at the same time."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CHUNK = 4 * 1024 * 1024


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


def hash_and_write(size: int, seed: int, target: Path) -> None:
    """Hash the bytes on one thread while another writes them, and make them durable."""
    hasher = hashlib.sha256()
    with target.open("wb", buffering=0) as file, ThreadPoolExecutor(1) as hashing:
        for chunk in chunks(size, seed):
            hashed = hashing.submit(hasher.update, chunk)
            file.write(chunk)
            hashed.result()
        os.fsync(file.fileno())
    target.unlink()
