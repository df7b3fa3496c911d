"""Tells the processes that share a bucket which manifests each of them has changed.

Each process that changes manifests has one object, `changed/<its own id>`, which counts its
changes and names the last ones. To learn what the others did it takes one listing of these
objects, and one read for each that is new or has changed.
"""

import logging
import re
import uuid
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Lock

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from store.s3_bucket import Bucket, StoredObject

logger = logging.getLogger(__name__)

_PREFIX = "changed/"
_OURS = re.compile(r"changed/[0-9a-f]{32}")
_NAMED = 64  # changes that are told one by one
_KEPT = timedelta(hours=1)  # longer than anybody goes without a look at all manifests


class Journal:
    """The changes of one process, and what it has learned of those of others."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._own = f"{_PREFIX}{uuid.uuid4().hex}"
        self._count = 0
        self._changed: deque[str] = deque(maxlen=_NAMED)
        self._changing = Lock()
        self._told = 0
        self._telling = Lock()
        self._seen: dict[StoredObject, int] = {}

    def tell(self, path: str) -> None:
        """Tell the others of a change that has been made, before it is answered.

        A failure is logged alone, for the change is made: the others find it later.
        """
        with self._changing:
            self._count += 1
            number = self._count
            self._changed.append(path)
        with self._telling:
            if self._told < number:  # else somebody who went first has told of this one, too
                self._write()

    def _write(self) -> None:
        with self._changing:
            count, changed = self._count, list(self._changed)
        content = orjson.dumps({"count": count, "changed": changed})
        try:
            self._bucket.put(self._own, content)
            self._told = count
        except (BotoCoreError, ClientError) as error:
            logger.warning("other processes learn late of changed models: %s", error)

    def news(self) -> set[str] | None:
        """Give the paths that others have changed since the last call; None: it cannot be told.

        What a failed call would have given the next one gives.
        """
        counts = {entry.path: count for entry, count in self._seen.items()}
        seen = {entry: self._seen.get(entry, 0) for entry in self._others()}
        # What is gone was removed for its age, perhaps with changes that nobody has looked at.
        is_lost = not counts.keys() <= {entry.path for entry in seen}
        changed: set[str] = set()
        for entry in [entry for entry in seen if entry not in self._seen or not entry.etag]:
            seen[entry], paths = self._read(entry.path)
            new = seen[entry] - counts.get(entry.path, 0)
            is_lost = is_lost or new > len(paths)
            changed.update(paths[-new:] if new > 0 else ())
        self._seen = seen
        return None if is_lost else changed

    def _others(self) -> Iterator[StoredObject]:
        for entry in self._bucket.list(_PREFIX):
            if entry.path != self._own and _OURS.fullmatch(entry.path):
                yield entry

    def _read(self, path: str) -> tuple[int, list[str]]:
        """Read how much a process has changed, and what it changed last."""
        got = self._bucket.get(path)
        if got is None:
            return 0, []
        found = orjson.loads(got[1])
        return found["count"], found["changed"]

    def remove_idle(self, idle_since: datetime) -> None:
        """Remove what processes left that have changed nothing for an hour at least."""
        oldest = min(idle_since, datetime.now(UTC) - _KEPT)
        for entry in self._others():
            if entry.modified_at <= oldest:
                self._bucket.delete(entry.path)
