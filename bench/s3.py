"""The S3 store against bare boto3, on one and the same server: `python -m bench.s3`.

The server is OpenStack Swift on this machine and shares its cores. boto3 uploads parts of
the same size, as many at a time, and does not hash; the store does. It reads over one
connection, as boto3 does when it is asked for an object; several at a time are the
business of whoever has a presigned URL (`bench.cold_start`).
"""

import argparse
import io
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from boto3.s3.transfer import TransferConfig

from bench.limit import chunks, digest
from bench.measure import MEGABYTE, in_turn, print_rates, timed
from store.interface import CHUNK_SIZE
from store.s3 import PARALLEL_PARTS, PART_SIZE, S3Store
from tests.servers.swift import running_swift

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_BUCKET = "models"
_SAME = TransferConfig(
    multipart_threshold=PART_SIZE,
    multipart_chunksize=PART_SIZE,
    max_concurrency=PARALLEL_PARTS,
)
_seeds = itertools.count(1)


class _Stream(io.RawIOBase):
    """Chunks as a file that can be read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        taken = min(len(target), len(self._rest))
        target[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="megabytes")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    size, rounds = arguments.size * MEGABYTE, arguments.rounds
    with tempfile.TemporaryDirectory() as name, running_swift(Path(name)) as swift:
        os.environ |= swift.environment
        client = swift.client()
        client.create_bucket(Bucket=_BUCKET)
        store = S3Store(_BUCKET)
        store.check()
        uploads = {
            "boto3": lambda: upload_bare(client, size),
            "S3Store": lambda: upload_to_store(client, store, size),
        }
        print_rates("Upload", in_turn(uploads, rounds), size, "boto3", {"S3Store": 0.9})
        stored = store_blob(store, size)
        downloads = {
            "boto3": lambda: timed(lambda: read_bare(client, stored)),
            "S3Store": lambda: timed(lambda: read_from_store(store, stored)),
        }
        print_rates("Read", in_turn(downloads, rounds), size, "boto3", {"S3Store": 0.9})


def upload_bare(client: "S3Client", size: int) -> float:
    """Upload new bytes as one object; give the seconds."""
    stream = io.BufferedReader(_Stream(chunks(size, next(_seeds))), CHUNK_SIZE)
    seconds = timed(lambda: client.upload_fileobj(stream, _BUCKET, "bare", Config=_SAME))
    client.delete_object(Bucket=_BUCKET, Key="bare")
    return seconds


def upload_to_store(client: "S3Client", store: S3Store, size: int) -> float:
    """Upload new bytes as one blob; give the seconds."""
    seed = next(_seeds)
    wanted = digest(size, seed)
    seconds = timed(lambda: write(store, size, seed, wanted))
    client.delete_object(Bucket=_BUCKET, Key=_key(wanted))
    return seconds


def store_blob(store: S3Store, size: int) -> str:
    """Store a blob to read; give its digest."""
    seed = next(_seeds)
    wanted = digest(size, seed)
    write(store, size, seed, wanted)
    return wanted


def write(store: S3Store, size: int, seed: int, wanted: str) -> None:
    """Write a blob."""
    with store.begin_upload(wanted, size) as upload:
        for chunk in chunks(size, seed):
            upload.write(chunk)
        upload.commit()


def read_bare(client: "S3Client", stored: str) -> None:
    """Read an object to its end."""
    body = client.get_object(Bucket=_BUCKET, Key=_key(stored))["Body"]
    while body.read(CHUNK_SIZE):
        pass


def read_from_store(store: S3Store, stored: str) -> None:
    """Read a blob to its end."""
    for _ in store.read(stored):
        pass


def _key(stored: str) -> str:
    return f"blobs/{stored.replace(':', '-')}"


if __name__ == "__main__":
    main()
