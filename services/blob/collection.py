"""Garbage collection: which blobs nobody needs, and their removal.

Why it never takes a blob that a new manifest names, though several processes work at
once: whoever writes a manifest retains its blobs first. Collection reads the manifests,
and then deletes only what was not retained after a time that is older. So either it sees
the new manifest, or the store sees that the blob is too young.
"""

import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from common.errors import BlobNotFound, InvalidRequest
from services.blob.manifest import named_blobs
from store.interface import Blob, Manifest, Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Collected:
    """How many blobs went, and their bytes."""

    blobs: int = 0
    size: int = 0


def garbage(blobs: Iterable[Blob], named: Collection[str], wanted_since: datetime) -> list[Blob]:
    """Choose the blobs that no manifest names and nobody wanted after the given time."""
    return [blob for blob in blobs if blob.digest not in named and blob.modified_at <= wanted_since]


class Collector:
    """Removes garbage from a store. Methods block."""

    def __init__(self, store: Store, grace: timedelta) -> None:
        self._store = store
        self._grace = grace

    def collect_all(self) -> Collected:
        """Remove all blobs that are garbage, and uploads that came to nothing."""
        horizon = datetime.now(UTC) - self._grace
        if uploads := self._store.abort_uploads(horizon):
            logger.info("removed %d unfinished uploads", uploads)
        return self._collect(list(self._store.list_blobs()), horizon)

    def collect_released(self, digests: Iterable[str], released_at: datetime) -> Collected:
        """Remove those of some blobs that nobody names, or wanted after they were released.

        `released_at` is when the manifest that named them until now had been written.
        """
        horizon = max(released_at, datetime.now(UTC) - self._grace)
        return self._collect(list(self._stored(digests)), horizon)

    def _stored(self, digests: Iterable[str]) -> Iterator[Blob]:
        for digest in set(digests):
            try:
                yield self._store.stat(digest)
            except BlobNotFound:
                continue

    def _collect(self, blobs: list[Blob], wanted_since: datetime) -> Collected:
        named = self._all_named()
        if named is None:
            return Collected()
        deleted = [
            blob
            for blob in garbage(blobs, named, wanted_since)
            if self._store.delete_blob(blob.digest, unless_newer_than=wanted_since)
        ]
        collected = Collected(len(deleted), sum(blob.size for blob in deleted))
        if deleted:
            logger.info("removed %d blobs, %d bytes", collected.blobs, collected.size)
        return collected

    def _all_named(self) -> set[str] | None:
        """Give what any manifest names; None if one of them cannot tell."""
        named: set[str] = set()
        for manifest in self._store.list_manifests():
            if not _add_named(manifest, named):
                return None
        return named


def _add_named(manifest: Manifest, named: set[str]) -> bool:
    try:
        named |= named_blobs(manifest.content)
    except InvalidRequest as error:
        logger.error(
            "nothing is collected, for the manifest of %s may name any blob: %s",
            manifest.name,
            error,
        )
        return False
    return True
