"""One multipart upload: parts sent in parallel, then joined or thrown away."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError

from common.errors import Canceled, StoreFailed
from store.s3_bucket import Bucket
from store.s3_errors import is_aborted, is_missing, is_unsupported

if TYPE_CHECKING:  # the types are installed for development alone
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

logger = logging.getLogger(__name__)

_PATIENCE = 0.1  # seconds until a waiting sender looks whether it was interrupted


class PartsNotCopied(Exception):
    """The server does not take parts from other objects."""


class PartSenders:
    """Threads that send parts, for all uploads of a store; no part waits in memory for them."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="s3-part")
        self._free = Semaphore(count)

    def submit(self, send: Callable[[], str], interrupted: Event) -> Future[str]:
        """Send a part on a thread as soon as one is free.

        Raises:
            Canceled: it was interrupted before that.
        """
        while not self._free.acquire(timeout=_PATIENCE):
            if interrupted.is_set():
                raise Canceled
        sending = self._threads.submit(send)
        sending.add_done_callback(lambda _: self._free.release())
        return sending


class Multipart:
    """Parts on their way to one object, which nobody sees before `complete`.

    What it joins are the parts that it sent, told by the ETags that S3 gave for them, or
    that it was given; a part that somebody else puts in their place makes it fail.
    """

    def __init__(
        self,
        bucket: Bucket,
        path: str,
        upload_id: str,
        senders: PartSenders,
        etags: Sequence[str] = (),
    ) -> None:
        self.upload_id = upload_id
        self._bucket = bucket
        self._path = path
        self._senders = senders
        self._etags = list(etags)
        self._sent = len(self._etags)
        self._in_flight: deque[Future[str]] = deque()
        self._interrupted = Event()

    @classmethod
    def begin(cls, bucket: Bucket, path: str, senders: PartSenders) -> Self:
        """Start an upload to a path."""
        created = bucket.client.create_multipart_upload(Bucket=bucket.name, Key=bucket.key(path))
        return cls(bucket, path, created["UploadId"], senders)

    @property
    def next_number(self) -> int:
        """The number of the part that is sent next, from 1."""
        return self._sent + 1

    def stored(self) -> Sequence[str]:
        """Give the ETags of the first parts, as far as all of them are stored.

        Raises what kept the part after them from being stored.
        """
        while self._in_flight and self._in_flight[0].done():
            self._etags.append(self._in_flight[0].result())  # where it fails it stays the first
            self._in_flight.popleft()
        return self._etags

    def send(self, content: bytes) -> None:
        """Send the next part; waits until a sender is free, and not until it is stored."""
        self._start(lambda number: self._upload(number, content))

    def copy(self, source: str, first: int, last: int) -> None:
        """Have S3 take the next part from a range of another object.

        What waits for it raises `PartsNotCopied` where the server cannot do so.
        """
        self._start(lambda number: self._upload_copy(number, source, first, last))

    def finish(self) -> None:
        """Wait until all parts are stored."""
        wait(self._in_flight)
        self.stored()

    def complete(self) -> None:
        """Join the parts that were sent; all must be stored."""
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in enumerate(self._etags, 1)
        ]
        self._bucket.client.complete_multipart_upload(
            Bucket=self._bucket.name,
            Key=self._bucket.key(self._path),
            UploadId=self.upload_id,
            MultipartUpload={"Parts": parts},
        )

    def interrupt(self) -> None:
        """Make a `send` fail that waits in another thread."""
        self._interrupted.set()

    def settle(self) -> Sequence[str]:
        """Wait until no part is on its way, whatever became of it; give what `stored` does."""
        wait(self._in_flight)
        while self._in_flight and self._in_flight[0].exception() is None:
            self._etags.append(self._in_flight.popleft().result())
        self._in_flight.clear()
        return self._etags

    def abort(self) -> None:
        """Throw the parts away. Does nothing if they are gone or joined."""
        wait(self._in_flight)  # a part that came later would stay
        abort_multipart(self._bucket, self._path, self.upload_id)

    def _start(self, send: Callable[[int], str]) -> None:
        self.stored()  # raises what went wrong before
        number = self.next_number
        self._in_flight.append(self._senders.submit(lambda: send(number), self._interrupted))
        self._sent = number

    def _upload(self, number: int, content: bytes) -> str:
        sent = self._bucket.client.upload_part(
            Bucket=self._bucket.name,
            Key=self._bucket.key(self._path),
            UploadId=self.upload_id,
            PartNumber=number,
            Body=content,
        )
        if etag := sent.get("ETag"):
            return etag
        raise StoreFailed("the store cannot be used: S3 gives the parts of an upload no ETags")

    def _upload_copy(self, number: int, source: str, first: int, last: int) -> str:
        try:
            copied = self._bucket.client.upload_part_copy(
                Bucket=self._bucket.name,
                Key=self._bucket.key(self._path),
                UploadId=self.upload_id,
                PartNumber=number,
                CopySource={"Bucket": self._bucket.name, "Key": self._bucket.key(source)},
                CopySourceRange=f"bytes={first}-{last}",
            )
        except ClientError as error:
            if is_unsupported(error):
                raise PartsNotCopied from error
            raise
        if etag := copied.get("CopyPartResult", {}).get("ETag"):
            return etag
        raise PartsNotCopied  # taken for an empty part, by servers that ignore the source


def abort_multipart(bucket: Bucket, path: str, upload_id: str) -> bool:
    """Throw away the parts of an upload; tell whether it was still there."""
    try:
        bucket.client.abort_multipart_upload(
            Bucket=bucket.name, Key=bucket.key(path), UploadId=upload_id
        )
    except ClientError as error:
        if is_unsupported(error):
            logger.warning("S3 cannot abort uploads: their parts stay")
        elif not is_aborted(error) and not is_missing(error):
            raise
        return False
    return True
