"""Deleting blobs from a bucket that does not answer in time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ReadTimeoutError

from store.s3_bucket import Bucket
from store.s3_wanted import NOTICES, WantedBlobs
from tests.store.buckets import BUCKET, Place
from tests.store.helpers import distant_future, put


class Slow(Bucket):
    """Answers no request that is in a hurry."""

    def delete(self, path: str, *, hasty: bool = False) -> None:
        if hasty:
            raise ReadTimeoutError(endpoint_url="http://bucket")
        super().delete(path)


def test_a_deletion_that_may_still_happen_stays_announced(place: Place) -> None:
    digest = put(place.open(), b"x")
    with ThreadPoolExecutor(2) as threads:
        wanted = WantedBlobs(Slow(BUCKET, place.prefix, 2), threads)
        with pytest.raises(ReadTimeoutError):
            wanted.delete(digest, distant_future())
    assert place.keys(NOTICES)
    assert place.open().stat(digest).size == 1
