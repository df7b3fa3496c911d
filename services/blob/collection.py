"""Garbage collection: which blobs nobody needs, and their removal.

Why it never takes a blob that a new manifest names, though several processes work at
once: whoever writes a manifest retains its blobs first. Collection reads the manifests,
and then deletes only what was not retained after a time that is older. So either it sees
the new manifest, or the store sees that the blob is too young.

What is released goes earlier, even if somebody retained it before it was released and has
yet to write his manifest. He looks for his blobs after that. So that they cannot go after
he has looked, this process writes no manifest while it collects what was released.

A derived manifest that is written anew while it is being deleted may be lost; that costs
no more than the work.
"""

import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Lock

from common.errors import BlobNotFound, InvalidModel, ModelNotFound
from common.names import ModelName
from services.blob.wanted import wanted
from store.interface import Blob, Manifest, Store

logger = logging.getLogger(__name__)

_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Collected:
    """What went: blobs, derived manifests, and unfinished uploads by their number."""

    deleted: tuple[Blob, ...] = ()
    manifests: tuple[ModelName, ...] = ()
    uploads: int = 0
    obstacle: str = ""
    """Why no blob could be collected; empty: they could."""

    @property
    def blobs(self) -> int:
        """Their number."""
        return len(self.deleted)

    @property
    def size(self) -> int:
        """Bytes of the blobs."""
        return sum(blob.size for blob in self.deleted)


def garbage(blobs: Iterable[Blob], named: Collection[str], wanted_since: datetime) -> list[Blob]:
    """Choose the blobs that no manifest names and nobody wanted after the given time."""
    return [blob for blob in blobs if blob.digest not in named and blob.modified_at <= wanted_since]


class Collector:
    """Removes garbage from a store. Methods block."""

    def __init__(self, store: Store, grace: timedelta) -> None:
        self._store = store
        self._grace = grace
        self._manifests = Lock()

    def write_manifest(self, name: ModelName, content: bytes) -> Manifest:
        """Store a manifest, but not while blobs that it may name are being removed."""
        with self._manifests:
            return self._store.write_manifest(name, content)

    def collect_all(self) -> Collected:
        """Remove all that is garbage: blobs, derived manifests, uploads that came to nothing."""
        horizon = datetime.now(UTC) - self._grace
        uploads = self._store.abort_uploads(horizon)
        if uploads:
            logger.info("removed %d unfinished uploads", uploads)
        return replace(
            self._collect(list(self._store.list_blobs()), horizon, horizon), uploads=uploads
        )

    def collect_released(self, digests: Iterable[str], released_at: datetime) -> Collected:
        """Remove those of some blobs that nobody names, or wanted after they were released.

        `released_at` is when the manifest that named them until now had been written.
        What was derived from them is left to `collect_all`.
        """
        horizon = max(released_at, datetime.now(UTC) - self._grace)
        with self._manifests:
            return self._collect(list(self._stored(digests)), horizon, _EVER)

    def _stored(self, digests: Iterable[str]) -> Iterator[Blob]:
        for digest in set(digests):
            try:
                yield self._store.stat(digest)
            except BlobNotFound:
                continue

    def _collect(
        self, blobs: list[Blob], wanted_since: datetime, derived_since: datetime
    ) -> Collected:
        young = {blob.digest for blob in blobs if blob.modified_at > wanted_since}
        try:
            found = wanted(self._store.list_manifests(), young, derived_since)
        except InvalidModel as error:
            logger.error("%s", error.message)
            return Collected(obstacle=error.message)
        manifests = tuple(name for name in found.forsaken if self._forget(name, derived_since))
        deleted = tuple(
            blob
            for blob in garbage(blobs, found.blobs, wanted_since)
            if self._store.delete_blob(blob.digest, unless_newer_than=wanted_since)
        )
        collected = Collected(deleted, manifests)
        if deleted:
            logger.info("removed %d blobs, %d bytes", collected.blobs, collected.size)
        return collected

    def _forget(self, derived: ModelName, unless_newer_than: datetime) -> bool:
        """Delete a derived manifest that was not written again; its blobs are young if it was."""
        try:
            if self._store.read_manifest(derived).modified_at > unless_newer_than:
                return False
            self._store.delete_manifest(derived)
        except ModelNotFound:
            return False
        return True
