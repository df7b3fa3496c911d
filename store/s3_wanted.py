"""When a blob was last wanted, and its removal when nobody has wanted it for long.

An object's time cannot be renewed without writing it anew, and of a large one it may tell
when its upload began. So each blob has a marker, an empty object that is rewritten
whenever the blob is stored or retained. The younger of the two counts.

How deletion and wanting exclude each other though S3 has no locks: who wants a blob
writes its marker and then looks for a notice of deletion; who deletes it writes a notice
and then looks at the marker. One of them must see the other. The deleter gives way; the
other waits until the notice is gone, and then looks whether the blob is still there. With
a manifest that names the blob in the place of its marker the same holds.
"""

import re
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from common.digests import hex_digits
from store.interface import Blob
from store.s3_bucket import Bucket, StoredObject
from store.s3_notices import NOTICE_LIFETIME, NOTICES, Notices

_BLOBS = "blobs/"
_BLOB = re.compile(r"blobs/sha256-([0-9a-f]{64})")
MARKERS = "retained/"


class WantedBlobs:
    """Sizes and ages of blobs, in a bucket."""

    def __init__(self, bucket: Bucket, threads: ThreadPoolExecutor) -> None:
        self._bucket = bucket
        self._threads = threads
        self._notices = Notices(bucket)

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
            if not self._notices.wait(digest):
                return

    def await_deletions(self, digests: Collection[str]) -> None:
        """Wait while somebody may be deleting one of some blobs."""
        # Waiting is left to this thread: a deleter may need those of the store.
        announced = self._threads.map(self._notices.is_up, digests)
        for digest, is_announced in zip(digests, announced, strict=True):
            if is_announced:
                self._notices.wait(digest)

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
            if notice.modified_at <= idle_since - timedelta(seconds=NOTICE_LIFETIME):
                self._bucket.delete(notice.path)
        blobs = {blob.path.removeprefix(_BLOBS) for blob in self._bucket.list(_BLOBS)}
        for marker in self._bucket.list(f"{MARKERS}sha256-"):
            is_lost = marker.path.removeprefix(MARKERS) not in blobs
            if is_lost and marker.modified_at <= idle_since:
                self._bucket.delete(marker.path)


def blob_path(digest: str) -> str:
    """Give the path of a blob."""
    return f"{_BLOBS}sha256-{hex_digits(digest)}"


def marker_path(digest: str) -> str:
    """Give the path of the object whose time says when a blob was last wanted."""
    return f"{MARKERS}sha256-{hex_digits(digest)}"


def _younger(blob: StoredObject, marker: StoredObject | None) -> datetime:
    return max(blob.modified_at, marker.modified_at) if marker else blob.modified_at
