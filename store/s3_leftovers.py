"""What uploads leave in a bucket when nobody finishes them, and its removal."""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from store.s3_bucket import Bucket
from store.s3_errors import is_aborted, is_missing, is_unsupported
from store.s3_kept_state import KeptStates
from store.s3_multipart import abort_multipart
from store.s3_upload import UNNAMED_PREFIX, is_unnamed

logger = logging.getLogger(__name__)

# After so long nobody goes on with an upload, whether or not this process has seen it before.
_LONGEST_UPLOAD = timedelta(days=1)
_BLOB = re.compile(r"blobs/sha256-[0-9a-f]{64}")


class Leftovers:
    """Removes unfinished uploads of ours; others in the same bucket are not touched."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._states = KeptStates(bucket)
        self._found_at: dict[str, datetime] = {}  # unnamed objects, when they first were

    def remove(self, idle_since: datetime) -> int:
        """Remove those that nothing was added to after the given time; give their number."""
        aborted: set[str] = set()
        try:
            aborted.update(self._abort_multiparts(idle_since))
        except ClientError as error:
            if not is_unsupported(error):
                raise
            logger.warning("S3 does not list unfinished uploads: their parts stay")
        aborted |= set(self._remove_states(idle_since, aborted))
        return len(aborted) + self._remove_unnamed(idle_since)

    def _abort_multiparts(self, idle_since: datetime) -> Iterator[str]:
        pages = self._bucket.client.get_paginator("list_multipart_uploads")
        found = pages.paginate(Bucket=self._bucket.name, Prefix=self._bucket.prefix)
        for upload in (upload for page in found for upload in page.get("Uploads", ())):
            path = self._bucket.path(upload["Key"])
            is_ours = _BLOB.fullmatch(path) or is_unnamed(path)
            if not is_ours or upload["Initiated"] > idle_since:
                continue
            upload_id = upload["UploadId"]
            if self._was_idle(path, upload_id, idle_since):
                abort_multipart(self._bucket, path, upload_id)
                yield upload_id

    def _was_idle(self, path: str, upload_id: str, idle_since: datetime) -> bool:
        pages = self._bucket.client.get_paginator("list_parts").paginate(
            Bucket=self._bucket.name, Key=self._bucket.key(path), UploadId=upload_id
        )
        try:
            times = (part["LastModified"] for page in pages for part in page.get("Parts", ()))
            return all(time <= idle_since for time in times)
        except ClientError as error:
            if is_aborted(error) or is_missing(error):
                return False
            raise

    def _remove_states(self, idle_since: datetime, aborted: set[str]) -> Iterator[str]:
        """Remove kept uploads: some servers list a multipart upload under its whole key alone."""
        for digest, entry in self._states.all():
            state = self._states.load(entry.path)
            if state and (entry.modified_at <= idle_since or state.upload_id in aborted):
                self._states.discard(digest, entry.path)
                yield state.upload_id

    def _remove_unnamed(self, idle_since: datetime) -> int:
        """Remove what was joined and never got its name.

        At Amazon an object of parts has the time when its upload began, and it may be being
        copied. So what counts is when it was first found here, unless it is much older.
        """
        now = datetime.now(UTC)
        unnamed = [it for it in self._bucket.list(UNNAMED_PREFIX) if is_unnamed(it.path)]
        self._found_at = {it.path: self._found_at.get(it.path, now) for it in unnamed}
        idle = [
            entry.path
            for entry in unnamed
            if entry.modified_at <= idle_since
            and (
                self._found_at[entry.path] <= idle_since
                or entry.modified_at <= idle_since - _LONGEST_UPLOAD
            )
        ]
        for path in idle:
            self._bucket.delete(path)
        return len(idle)
