"""A bucket, or what lies under a prefix in it, with the few operations that a store needs.

Paths are relative to the prefix. Objects carry the time of the process that wrote them,
which refines S3's own: see `time_of_writing`.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from common.errors import StoreFailed
from store.s3_client import Connection, connect
from store.s3_errors import is_missing

if TYPE_CHECKING:  # the types are installed for development alone
    from mypy_boto3_s3.client import S3Client

_STAMP = "paddock-time"
_STAMP_FORM = re.compile(r"[0-9]{1,11}\.[0-9]{6}")
_RESOLUTION = timedelta(seconds=1)
_SMALLEST_STEP = timedelta(microseconds=1)


@dataclass(frozen=True)
class StoredObject:
    """What S3 says about an object; only `Bucket.find` and `get` know its time precisely."""

    path: str
    size: int
    etag: str
    """Empty where the server keeps none: then nothing tells that the bytes are the same."""

    modified_at: datetime


class Bucket:
    """Objects under a prefix. Errors are botocore's, for `s3_errors` to translate."""

    def __init__(self, name: str, prefix: str, connections: int) -> None:
        self.name = name
        self.prefix = prefix
        self._connections = connections

    @cached_property
    def connection(self) -> Connection:
        """Connect when it is first needed, and again after a failure to find credentials."""
        return connect(self._connections)

    @property
    def client(self) -> "S3Client":
        """The client, for operations that only one user has."""
        return self.connection.client

    def key(self, path: str) -> str:
        """Give the key of a path."""
        return f"{self.prefix}{path}"

    def path(self, key: str) -> str:
        """Give the path of a key under the prefix."""
        return key.removeprefix(self.prefix)

    def find(self, path: str) -> StoredObject | None:
        """Ask for an object's size and time."""
        try:
            head = self.client.head_object(Bucket=self.name, Key=self.key(path))
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        modified_at = time_of_writing(head["LastModified"], head["Metadata"])
        return StoredObject(path, head["ContentLength"], _bare(head.get("ETag")), modified_at)

    def get(self, path: str) -> tuple[StoredObject, bytes] | None:
        """Read a small object whole."""
        try:
            got = self.client.get_object(Bucket=self.name, Key=self.key(path))
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        content = got["Body"].read()
        modified_at = time_of_writing(got["LastModified"], got["Metadata"])
        return StoredObject(path, len(content), _bare(got.get("ETag")), modified_at), content

    def put(self, path: str, content: bytes) -> None:
        """Write a small object, replacing an earlier one."""
        metadata = {_STAMP: f"{time.time():.6f}"}
        self.client.put_object(
            Bucket=self.name, Key=self.key(path), Body=content, Metadata=metadata
        )

    def copy(self, source: str, target: str) -> None:
        """Have S3 copy an object, at Amazon one of 5 GiB at most; wait as long as that takes."""
        self.connection.patient_client.copy_object(
            Bucket=self.name,
            Key=self.key(target),
            CopySource={"Bucket": self.name, "Key": self.key(source)},
        )

    def delete(self, path: str, *, hasty: bool = False) -> None:
        """Delete an object, if it is there; `hasty` means within seconds or not at all."""
        client = self.connection.hasty_client if hasty else self.client
        client.delete_object(Bucket=self.name, Key=self.key(path))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Give the objects whose path begins so. Their times are early by up to two seconds.

        Raises:
            StoreFailed: it is not all of them that the server lists. What is left out would
                seem not to be there, and what it needs to be garbage.
        """
        pages = self.client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.name, Prefix=self.key(prefix)):
            for entry in page.get("Contents", ()):
                if not entry["Key"].startswith(self.key(prefix)):
                    raise StoreFailed("the store cannot be used: S3 lists other keys than asked")
                modified_at = time_of_writing(entry["LastModified"], {})
                yield StoredObject(
                    self.path(entry["Key"]), entry["Size"], _bare(entry.get("ETag")), modified_at
                )
            if page.get("IsTruncated") and not page.get("NextContinuationToken"):
                raise StoreFailed("the store cannot be used: S3 does not continue its listings")


def _bare(etag: str | None) -> str:
    """Some servers quote ETags everywhere, some not in listings, and some have none."""
    return (etag or "").strip('"')


def time_of_writing(last_modified: datetime, metadata: Mapping[str, str]) -> datetime:
    """Give the time of writing: the writer's clock, held within a second of S3's.

    S3 tells whole seconds, which some servers round up and some down. What happened
    within one second is put in order by the time that the writer noted. S3's clock rules
    all the same: a writer whose clock is wrong is off by a second at most, and of two
    writes of one process the later one never seems to be the earlier. Without a note the
    earliest time is given.
    """
    second = last_modified.astimezone(UTC).replace(microsecond=0)
    earliest = second - _RESOLUTION
    latest = second + _RESOLUTION - _SMALLEST_STEP
    # Some servers write the names of headers with capitals.
    stamp = {name.lower(): value for name, value in metadata.items()}.get(_STAMP, "")
    if not _STAMP_FORM.fullmatch(stamp):
        return earliest
    return max(earliest, min(latest, datetime.fromtimestamp(float(stamp), UTC)))
