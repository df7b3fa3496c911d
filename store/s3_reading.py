"""Reads a blob from a bucket, and goes on where a connection breaks off.

The object is not pinned by its ETag: whatever replaces a blob has the same bytes, though
another ETag where it came in other parts.
"""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody
from urllib3.exceptions import HTTPError

from common.errors import BlobNotFound, StoreFailed, Unavailable
from store.interface import CHUNK_SIZE
from store.s3_bucket import Bucket
from store.s3_errors import is_beyond_the_end, is_missing, s3_errors
from store.s3_wanted import blob_path

if TYPE_CHECKING:  # the types are installed for development alone
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

# No server stores so large an object, and not every one understands larger numbers.
_BEYOND = 2**50
_CONTENT_RANGE = re.compile(r"bytes [0-9]+-([0-9]+)/[0-9]+")
_RESUMPTIONS = 5  # without a byte between them
_FIRST_DELAY = 0.2  # seconds, doubled each time


class BlobReading:
    """A range of a blob, being read: opened when it is made, then chunk by chunk."""

    def __init__(self, bucket: Bucket, digest: str, offset: int, length: int | None) -> None:
        self._bucket = bucket
        self._digest = digest
        self._position = min(offset, _BEYOND)
        self._end = _BEYOND if length is None else min(self._position + length, _BEYOND)
        self._body: StreamingBody | None = None
        with s3_errors():
            if self._position < self._end:
                self._open()
            elif bucket.find(blob_path(digest)) is None:
                raise _not_found(digest)

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes."""
        with s3_errors(), ExitStack() as at_the_end:
            at_the_end.callback(self._close)
            while self._position < self._end:
                yield self._read(min(CHUNK_SIZE, self._end - self._position))

    def _open(self) -> None:
        """Ask for the rest of the range; learn where it ends if it is cut at the blob's end."""
        self._body = None
        try:
            got = self._get()
        except ClientError as error:
            if is_missing(error):
                raise _not_found(self._digest) from error
            if not is_beyond_the_end(error):
                raise
            self._end = self._position
            return
        self._body = got["Body"]
        self._end = self._end_of(got)

    def _get(self) -> "GetObjectOutputTypeDef":
        name, key = self._bucket.name, self._bucket.key(blob_path(self._digest))
        if (self._position, self._end) == (0, _BEYOND):  # an empty blob has no range
            return self._bucket.client.get_object(Bucket=name, Key=key)
        asked = f"bytes={self._position}-{self._end - 1}"
        return self._bucket.client.get_object(Bucket=name, Key=key, Range=asked)

    def _end_of(self, got: "GetObjectOutputTypeDef") -> int:
        if match := _CONTENT_RANGE.fullmatch(got.get("ContentRange", "")):
            return int(match[1]) + 1
        if self._position:
            raise StoreFailed("the store cannot be used: it does not answer range requests")
        return min(self._end, got["ContentLength"])

    def _read(self, size: int) -> bytes:
        """Read so many bytes, over as many connections as it takes."""
        pieces: list[bytes] = []
        failures = 0
        while size:
            piece = self._read_piece(size)
            if piece:
                failures = 0
                size -= len(piece)
                pieces.append(piece)
                continue
            failures += 1
            if failures > _RESUMPTIONS:
                raise Unavailable(f'the store breaks off again and again in blob "{self._digest}"')
            time.sleep(_FIRST_DELAY * 2 ** (failures - 1))
            self._open_again()
        return b"".join(pieces)

    def _read_piece(self, size: int) -> bytes:
        """Read what is there; nothing if the connection has broken off."""
        piece = b""
        if self._body:
            with suppress(BotoCoreError, HTTPError):
                piece = self._body.read(size)
        self._position += len(piece)
        return piece

    def _open_again(self) -> None:
        end = self._end
        self._close()
        self._open()
        if self._end != end:
            raise StoreFailed(f'blob "{self._digest}" has changed while it was read')

    def _close(self) -> None:
        if self._body:
            self._body.close()


def _not_found(digest: str) -> BlobNotFound:
    return BlobNotFound(f'blob "{digest}" not found')
