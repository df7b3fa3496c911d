"""Deleting blobs from a bucket, in view of all who want them."""

import logging
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from store.interface import Blob, Deletion
from store.s3_bucket import Bucket
from store.s3_errors import s3_errors
from store.s3_notices import Notices
from store.s3_wanted import WantedBlobs, blob_path, marker_path

logger = logging.getLogger(__name__)

# Who has not begun to delete after this time has been held up, and gives in; who has tries
# once, for half as long again. So it is over before a notice is taken for forsaken.
_DELETE_WITHIN = 10.0  # seconds


class S3Deletion(Deletion):
    """Deletes objects and markers of blobs while their notices are up."""

    def __init__(self, bucket: Bucket, wanted: WantedBlobs, announced: Collection[str]) -> None:
        self._bucket = bucket
        self._wanted = wanted
        self._announced = announced
        self._begun_at = time.monotonic()
        self.doubtful: set[str] = set()
        """Of these something was asked that failed, and may happen yet."""

    @s3_errors()
    def delete(self, digest: str, unless_newer_than: datetime) -> bool:
        """Delete the object, then its marker."""
        if self._idle(digest, unless_newer_than) is None:
            return False
        with self._in_doubt(digest):
            self._bucket.delete(blob_path(digest), hasty=True)
            self._bucket.delete(marker_path(digest), hasty=True)
        return True

    @s3_errors()
    def unretain(self, digest: str, unless_newer_than: datetime, back_to: datetime) -> None:
        """Delete the marker: what is stored was stored before it was named, as a rule."""
        blob = self._idle(digest, unless_newer_than)
        if blob and blob.modified_at > back_to:
            with self._in_doubt(digest):
                self._bucket.delete(marker_path(digest), hasty=True)

    def _idle(self, digest: str, since: datetime) -> Blob | None:
        """Find a blob that nobody has wanted since, if there still is time to change it."""
        blob = self._wanted.find(digest) if digest in self._announced else None
        in_time = time.monotonic() - self._begun_at < _DELETE_WITHIN
        return blob if blob and blob.modified_at <= since and in_time else None

    @contextmanager
    def _in_doubt(self, digest: str) -> Iterator[None]:
        self.doubtful.add(digest)
        yield
        self.doubtful.discard(digest)


@contextmanager
def deleting(
    bucket: Bucket, wanted: WantedBlobs, threads: ThreadPoolExecutor, digests: Collection[str]
) -> Iterator[S3Deletion]:
    """Put up notices, and take them down except where something may happen yet."""
    notices = Notices(bucket)
    announced: set[str] = set()

    def announce(digest: str) -> None:
        if notices.put(digest):
            announced.add(digest)

    deletion = S3Deletion(bucket, wanted, announced)
    try:
        with s3_errors():
            list(threads.map(announce, digests))
        yield deletion
    finally:
        try:
            list(threads.map(notices.withdraw, announced - deletion.doubtful))
        except (BotoCoreError, ClientError) as error:
            logger.warning("a notice of deletion is left until it is too old: %s", error)
