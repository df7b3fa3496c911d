"""An upload into a bucket: one object, or parts that are joined once the digest is right."""

import logging
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BytesIO

from botocore.exceptions import BotoCoreError, ClientError

from common.errors import StoreFailed
from store.s3_bucket import Bucket
from store.s3_errors import (
    is_aborted,
    is_failure_of_the_server,
    is_invalid_part,
    s3_errors,
    was_repeated,
)
from store.s3_multipart import Multipart, PartSenders, PartsNotCopied
from store.s3_parts import growing_part_size, part_size_for, ranges
from store.s3_wanted import WantedBlobs, blob_path
from store.upload import Bytes, Hash, Upload

logger = logging.getLogger(__name__)

UNNAMED_PREFIX = "uploads/upload-"
_UNNAMED = re.compile(UNNAMED_PREFIX + r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Transfers:
    """What the uploads of a store share."""

    bucket: Bucket
    wanted: WantedBlobs
    senders: PartSenders
    part_size: int
    """Bytes of the smallest parts."""

    copied_part_size: int
    """Bytes that S3 is asked to copy at a time."""

    pauses: Sequence[float] = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
    """Seconds before each look for what was asked for, where the answer was lost."""


def is_unnamed(path: str) -> bool:
    """Tell whether a path is that of an upload whose digest was not known when it began."""
    return _UNNAMED.fullmatch(path) is not None


def _unnamed_path() -> str:
    return f"{UNNAMED_PREFIX}{uuid.uuid4().hex}"


class S3Upload(Upload):
    """Gathers parts and sends them to where the blob belongs, several at a time.

    A blob that fits into one part is sent as one object. One whose digest is not known
    beforehand is joined under `uploads/`, and S3 copies it from there. In memory there
    is a part that is being filled, and those that the store's senders have taken.
    """

    def __init__(
        self,
        transfers: Transfers,
        digest: str | None,
        size: int | None,
        *,
        keep: bool = False,
        offset: int = 0,
        sha256: Hash | None = None,
        multipart: Multipart | None = None,
    ) -> None:
        super().__init__(digest, size, keep=keep, offset=offset, sha256=sha256)
        self._transfers = transfers
        self._bucket = transfers.bucket
        self._path = blob_path(digest) if digest else _unnamed_path()
        self._part = BytesIO()
        self._multipart = multipart

    def _append(self, data: Bytes) -> None:
        with self._errors():
            rest = memoryview(data)
            while rest:
                part_size = self._next_part_size()
                taken = self._part.write(rest[: part_size - self._part.tell()])
                rest = rest[taken:]
                if self._part.tell() == part_size:
                    self._send_part()

    def _publish(self, digest: str) -> None:
        with self._errors():
            if self._multipart is None:
                self._transfers.wanted.announce(digest)
                self._bucket.put(blob_path(digest), self._part.getvalue())
            else:
                self._finish(self._multipart, digest)
            self._check_size(digest)
        self._part = BytesIO()

    def _suspend(self) -> None:
        self._discard()

    def _discard(self) -> None:
        self._part = BytesIO()
        with leaving_the_rest_to_cleaning():
            if self._multipart:
                self._multipart.abort()
                if is_unnamed(self._path):
                    self._bucket.delete(self._path)

    def _interrupt(self) -> None:
        if self._multipart:
            self._multipart.interrupt()

    def _errors(self) -> AbstractContextManager[None]:
        return s3_errors()

    def _next_part_size(self) -> int:
        smallest = self._transfers.part_size
        if self._expected_size is not None:
            return part_size_for(self._expected_size, smallest)
        return growing_part_size(self._multipart.next_number if self._multipart else 1, smallest)

    def _send_part(self) -> None:
        if self._multipart is None:
            self._multipart = Multipart.begin(self._bucket, self._path, self._transfers.senders)
        part, self._part = self._part.getvalue(), BytesIO()
        self._multipart.send(part)

    def _finish(self, multipart: Multipart, digest: str) -> None:
        if self._part.tell():
            self._send_part()
        multipart.finish()
        self._transfers.wanted.announce(digest)
        self._complete(multipart, self._path)
        if is_unnamed(self._path):
            self._copy(self._path, digest)
            self._bucket.delete(self._path)

    def _complete(self, multipart: Multipart, path: str) -> None:
        try:
            multipart.complete()
        except ClientError as error:
            # Done already by another who writes the same, or else the answer was lost.
            may_be_done = is_aborted(error) or is_failure_of_the_server(error)
            # What was asked for first takes its upload away before it has an object of it.
            may_come = is_aborted(error) and was_repeated(error)
            is_there = self._comes if may_come else self._is_stored
            if not may_be_done or not is_there(path):
                raise
        except BotoCoreError:
            if not self._comes(path):
                raise

    def _copy(self, source: str, digest: str) -> None:
        target = blob_path(digest)
        try:
            self._copy_parts(source, target)
            return
        except PartsNotCopied:
            pass
        except ClientError as error:
            if not is_invalid_part(error):  # what copies a whole object in place of a part
                raise
        try:
            self._bucket.copy(source, target)
        except BotoCoreError:
            if not self._comes(target):
                raise

    def _copy_parts(self, source: str, target: str) -> None:
        multipart = Multipart.begin(self._bucket, target, self._transfers.senders)
        try:
            for first, last in ranges(self._size, self._transfers.copied_part_size):
                multipart.copy(source, first, last)
            multipart.finish()
            self._complete(multipart, target)
        except BaseException:
            with leaving_the_rest_to_cleaning():
                multipart.abort()
            raise

    def _is_stored(self, path: str) -> bool:
        found = self._bucket.find(path)
        return found is not None and found.size == self._size

    def _comes(self, path: str) -> bool:
        """Look for what the server may still be at, though its answer was lost."""
        for pause in self._transfers.pauses:
            time.sleep(pause)
            if self._is_stored(path):
                return True
        return False

    def _check_size(self, digest: str) -> None:
        if not self._is_stored(blob_path(digest)):
            raise StoreFailed(f'the store did not keep the {self._size} bytes of blob "{digest}"')


@contextmanager
def leaving_the_rest_to_cleaning() -> Iterator[None]:
    """Let removal fail: what is left is found when it has been idle, and the error tells less."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        logger.warning("an unfinished upload could not be removed: %s", error)
