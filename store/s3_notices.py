"""Notices that a blob is about to be deleted: objects, one for a blob at a time."""

import time
import uuid

from common.digests import hex_digits
from store.s3_bucket import Bucket

NOTICES = "uploads/deleting-"
NOTICE_LIFETIME = 30.0
"""Seconds after which a notice that is still the same has no owner any more."""

_POLL_INTERVAL = 0.1  # seconds


class Notices:
    """The notices in a bucket; those that are put through this object are its own."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._mark = uuid.uuid4().hex.encode()

    def is_up(self, digest: str) -> bool:
        """Tell whether somebody is about to delete a blob."""
        return self._bucket.find(_path(digest)) is not None

    def put(self, digest: str) -> bool:
        """Announce a deletion; False if somebody else has, to whom it is left."""
        if self.is_up(digest):
            return False
        self._bucket.put(_path(digest), self._mark)
        return True

    def withdraw(self, digest: str) -> None:
        """Take a notice back, unless somebody else has put his own there since."""
        found = self._bucket.get(_path(digest))
        if found and found[1] == self._mark:
            self._bucket.delete(_path(digest))

    def wait(self, digest: str) -> bool:
        """Wait while there is a notice, as long as it has an owner; tell whether there was."""
        path = _path(digest)
        first = notice = self._bucket.find(path)
        deadline = time.monotonic() + NOTICE_LIFETIME
        while notice is not None:
            time.sleep(_POLL_INTERVAL)
            notice = self._bucket.find(path)
            if time.monotonic() > deadline and notice == first:
                self._bucket.delete(path)
        return first is not None


def _path(digest: str) -> str:
    return f"{NOTICES}sha256-{hex_digits(digest)}"
