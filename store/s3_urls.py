"""Presigned URLs: whoever has one can read a blob, with ranges and without credentials."""

import math
from bisect import bisect_left
from datetime import UTC, datetime, timedelta

from botocore.credentials import Credentials, RefreshableCredentials

from store.s3_bucket import Bucket
from store.s3_wanted import blob_path

LONGEST_LIFETIME = timedelta(days=7)  # signature version 4 knows no longer one


def presigned_url(bucket: Bucket, digest: str, lifetime: timedelta) -> tuple[str, datetime]:
    """Give a URL for GET, and when it stops to answer. Asks S3 nothing.

    A URL dies with the credentials that signed it, so one that is signed with a role's
    may live shorter than it should.
    """
    now = datetime.now(UTC)
    url = bucket.client.generate_presigned_url(
        "get_object",
        Params={"Bucket": bucket.name, "Key": bucket.key(blob_path(digest))},
        ExpiresIn=math.floor(lifetime.total_seconds()),
    )
    return url, now + min(lifetime, remaining(bucket.connection.credentials, lifetime))


def remaining(credentials: Credentials, at_most: timedelta) -> timedelta:
    """Say how long credentials will last, if that is shorter than the given time."""
    if not isinstance(credentials, RefreshableCredentials):
        return at_most
    seconds = range(math.ceil(at_most.total_seconds()))
    return timedelta(seconds=bisect_left(seconds, True, key=credentials.refresh_needed))
