"""When a blob was last wanted, and its removal when nobody has wanted it for long.

An object's time cannot be renewed without writing it anew, and of a large one it may tell
when its upload began. So each blob has a marker, an empty object that is rewritten
whenever the blob is stored or retained. The younger of the two counts.

How deletion and wanting exclude each other though S3 has no locks: who wants a blob
writes its marker and then looks for a notice of deletion; who deletes it writes a notice
and then looks at the marker. One of them must see the other. The deleter gives way; the
other waits until the notice is gone, and then looks whether the blob is still there.
"""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta

from common.digests import hex_digits
from store.interface import Blob
from store.s3_bucket import Bucket, StoredObject

_BLOBS = "blobs/"
_BLOB = re.compile(r"blobs/sha256-([0-9a-f]{64})")
MARKERS = "retained/"
NOTICES = "uploads/deleting-"
_POLL_INTERVAL = 0.1  # seconds
# A deleter that has not begun after the first has been held up, and gives in; one that has
# begun tries once, for half as long again. So a notice that is older than the second has no
# owner any more.
_DELETE_WITHIN = 10.0
_NOTICE_LIFETIME = 30.0


class WantedBlobs:
    """Sizes and ages of blobs, in a bucket."""

    def __init__(self, bucket: Bucket, threads: ThreadPoolExecutor) -> None:
        self._bucket = bucket
        self._threads = threads

    def find(self, digest: str) -> Blob | None:
        """Give a blob's size, and when it was last wanted."""
        marker = self._threads.submit(self._bucket.find, marker_path(digest))
        blob = self._bucket.find(blob_path(digest))
        marked = marker.result()
        if blob is None:
            return None
        return Blob(digest, blob.size, _younger(blob, marked))

    def retain(self, digest: str) -> Blob | None:
        """Make a blob young, if it is stored."""
        if self._bucket.find(blob_path(digest)) is None:  # markers alone would pile up
            return None
        self.announce(digest)
        return self.find(digest)

    def announce(self, digest: str) -> None:
        """Make sure that a blob which is there from now on stays for its time of grace."""
        while True:
            self._bucket.put(marker_path(digest), b"")
            if not self._wait_for_deletion(digest):
                return

    def delete(self, digest: str, unless_newer_than: datetime) -> bool:
        """Delete a blob unless it was wanted after the given time; tell whether it went."""
        with self._notice(digest):
            begun_at = time.monotonic()
            blob = self.find(digest)
            if blob is None or blob.modified_at > unless_newer_than:
                return False
            if time.monotonic() - begun_at > _DELETE_WITHIN:
                return False
            self._bucket.delete(blob_path(digest), hasty=True)
            self._bucket.delete(marker_path(digest))
            return True

    def list(self) -> Iterator[Blob]:
        """Give all blobs, with the times that a listing tells."""
        markers = {
            marker.path.removeprefix(MARKERS): marker for marker in self._bucket.list(MARKERS)
        }
        for blob in self._bucket.list(_BLOBS):
            if match := _BLOB.fullmatch(blob.path):
                modified_at = _younger(blob, markers.get(blob.path.removeprefix(_BLOBS)))
                yield Blob(f"sha256:{match[1]}", blob.size, modified_at)

    def remove_leftovers(self, idle_since: datetime) -> None:
        """Remove markers of blobs that are gone, and notices of deleters that died."""
        for notice in self._bucket.list(NOTICES):
            if notice.modified_at <= idle_since - timedelta(seconds=_NOTICE_LIFETIME):
                self._bucket.delete(notice.path)
        blobs = {blob.path.removeprefix(_BLOBS) for blob in self._bucket.list(_BLOBS)}
        for marker in self._bucket.list(f"{MARKERS}sha256-"):
            is_lost = marker.path.removeprefix(MARKERS) not in blobs
            if is_lost and marker.modified_at <= idle_since:
                self._bucket.delete(marker.path)

    @contextmanager
    def _notice(self, digest: str) -> Iterator[None]:
        path = _notice_path(digest)
        self._bucket.put(path, b"")
        yield
        # After a failure it stays for its time: what was asked for may still happen.
        self._bucket.delete(path)

    def _wait_for_deletion(self, digest: str) -> bool:
        """Wait while somebody may be deleting the blob; tell whether that was so."""
        path = _notice_path(digest)
        first = notice = self._bucket.find(path)
        deadline = time.monotonic() + _NOTICE_LIFETIME
        while notice is not None:
            time.sleep(_POLL_INTERVAL)
            notice = self._bucket.find(path)
            if time.monotonic() > deadline and notice == first:
                self._bucket.delete(path)
        return first is not None


def blob_path(digest: str) -> str:
    """Give the path of a blob."""
    return f"{_BLOBS}sha256-{hex_digits(digest)}"


def marker_path(digest: str) -> str:
    """Give the path of the object whose time says when a blob was last wanted."""
    return f"{MARKERS}sha256-{hex_digits(digest)}"


def _notice_path(digest: str) -> str:
    return f"{NOTICES}sha256-{hex_digits(digest)}"


def _younger(blob: StoredObject, marker: StoredObject | None) -> datetime:
    return max(blob.modified_at, marker.modified_at) if marker else blob.modified_at
