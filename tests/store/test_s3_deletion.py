"""Deleting blobs from a bucket that does not answer in time, or beside others who delete."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ReadTimeoutError

from common.errors import Unavailable
from store.s3_bucket import Bucket
from store.s3_deletion import deleting
from store.s3_notices import NOTICES, Notices
from store.s3_wanted import WantedBlobs
from tests.store.buckets import BUCKET, Place
from tests.store.helpers import distant_future, put


class Slow(Bucket):
    """Answers no request that is in a hurry."""

    def delete(self, path: str, *, hasty: bool = False) -> None:
        if hasty:
            raise ReadTimeoutError(endpoint_url="http://bucket")
        super().delete(path)


def test_a_deletion_that_may_still_happen_stays_announced(place: Place) -> None:
    digest, other = (put(place.open(), content) for content in (b"x", b"y"))
    bucket = Slow(BUCKET, place.prefix, 2)
    with ThreadPoolExecutor(2) as threads:
        blobs = WantedBlobs(bucket, threads)
        with (
            pytest.raises(Unavailable),
            deleting(bucket, blobs, threads, [digest, other]) as deletion,
        ):
            deletion.delete(digest, distant_future())
    (left,) = place.keys(NOTICES)
    assert left.endswith(digest.removeprefix("sha256:"))
    assert place.open().stat(digest).size == 1


def test_what_another_is_about_to_delete_is_left_to_him(place: Place) -> None:
    first, second = place.open(), place.open()
    digest = put(first, b"x")
    with first.deleting([digest]) as deletion:
        assert not second.delete_blob(digest, distant_future())
        assert len(place.keys(NOTICES)) == 1
        assert deletion.delete(digest, distant_future())
    assert place.keys() == []


def test_a_notice_of_another_is_not_withdrawn(place: Place) -> None:
    digest = put(place.open(), b"x")
    bucket = Bucket(BUCKET, place.prefix, 2)
    mine, other = Notices(bucket), Notices(bucket)
    assert mine.put(digest)
    assert not other.put(digest)
    other.withdraw(digest)
    assert mine.is_up(digest)
    mine.withdraw(digest)
    assert not mine.is_up(digest)
