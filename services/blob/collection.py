"""Garbage collection: which blobs nobody needs, and their removal.

Why no manifest ever names a blob that was collected, though several processes work on one
store at once:

*Search.* Whoever writes a manifest retains its blobs first. The search reads the manifests,
and then deletes only what was not retained after a time that is older, by the time of
grace. So either it sees the new manifest, or the store sees that the blob is too young.

*Release.* What only a deleted manifest named goes without grace, even if somebody retained
it before that manifest was written and has yet to write his own. So he who releases first
announces which blobs may go, then lists the manifests, reads those that have changed since
they were last read, and deletes what is not named; and he who writes a manifest first
writes it, then waits while one of its blobs is announced to go, and then looks whether all
are there. Of the two that come first, announcing and writing, one came before the other. If
the manifest was written before the announcement, it is listed, and the blob stays. If not,
whoever wrote it looks for announcements after this one was made: either he finds it, and
sees the blob's fate after it has been decided, or it has been withdrawn, and the fate was
decided before. In no case does a blob go after he has found it. Both steps work on the
store alone, whichever process they are in, and whatever processes have told each other;
they need listings of manifests that show what has been written. An S3 server whose listings
lag behind (Amazon's, Ceph's and MinIO's do not) may show a manifest too late, if it was
written in that moment by another process and its blobs were last retained before the
released one was written.

A derived manifest that is written anew while it is being deleted may be lost; that costs
no more than the work.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from common.errors import BlobNotFound, InvalidModel, ModelNotFound, StoreFailed
from common.names import ModelName
from services.blob.manifest import named_blobs
from services.blob.wanted import named_among, wanted
from store.interface import Blob, Manifest, Store

logger = logging.getLogger(__name__)

_EVER = datetime.min.replace(tzinfo=UTC)
_AT_ONCE = 32  # blobs that are announced to go while manifests are read


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

    def write_manifest(self, name: ModelName, content: bytes) -> Manifest:
        """Store a manifest. Those of its blobs that are there afterwards stay.

        Raises:
            InvalidModel: it does not say what it names.
        """
        named = named_blobs(content)
        written = self._store.write_manifest(name, content)
        self._store.await_deletions(named)
        return written

    def collect_all(self) -> Collected:
        """Remove all that is garbage: blobs, derived manifests, uploads that came to nothing."""
        horizon = datetime.now(UTC) - self._grace
        uploads = self._abort_uploads(horizon)
        blobs = list(self._store.list_blobs())
        young = {blob.digest for blob in blobs if blob.modified_at > horizon}
        try:
            found = wanted(self._store.list_manifests(), young, horizon)
        except InvalidModel as error:
            return replace(_prevented(error), uploads=uploads)
        manifests = tuple(name for name in found.forsaken if self._forget(name, horizon))
        deleted = tuple(
            blob
            for blob in garbage(blobs, found.blobs, horizon)
            if self._store.delete_blob(blob.digest, unless_newer_than=horizon)
        )
        return _logged(Collected(deleted, manifests, uploads))

    def collect_released(self, digests: Iterable[str], released_at: datetime) -> Collected:
        """Remove those of some blobs that nobody names, or wanted after they were released.

        `released_at` is when the manifest that named them until now had been written.
        What others still name becomes as old as their manifests, so that it goes with the
        last of them: what wanted it since was the one that has let go of it. What was
        derived from them is left to `collect_all`.
        """
        horizon = max(released_at, datetime.now(UTC) - self._grace)
        deleted: list[Blob] = []
        try:
            blobs = [blob for blob in self._stored(digests) if blob.modified_at <= horizon]
            for some in self._portions(blobs):
                deleted += self._release(some, horizon)
        except InvalidModel as error:
            return replace(_prevented(error), deleted=tuple(deleted))
        return _logged(Collected(tuple(deleted)))

    def _abort_uploads(self, idle_since: datetime) -> int:
        """Remove unfinished uploads; where the store cannot, blobs are collected all the same."""
        try:
            uploads = self._store.abort_uploads(idle_since)
        except StoreFailed as error:
            logger.error("unfinished uploads stay: %s", error.message)
            return 0
        if uploads:
            logger.info("removed %d unfinished uploads", uploads)
        return uploads

    def _portions(self, blobs: list[Blob]) -> Iterator[list[Blob]]:
        """Choose blobs to be announced together."""
        if self._store.announces_many_as_one:
            yield from filter(None, [blobs])
            return
        # A first look, so that few are announced, and the second one reads little.
        named = _named(self._store.known_manifests(), blobs)
        idle = [blob for blob in blobs if named.get(blob.digest, _EVER) < blob.modified_at]
        for start in range(0, len(idle), _AT_ONCE):
            yield idle[start : start + _AT_ONCE]

    def _release(self, blobs: list[Blob], horizon: datetime) -> list[Blob]:
        deleted = []
        with self._store.deleting([blob.digest for blob in blobs]) as deletion:
            # What counts is what is there, whether or not somebody has told of it.
            named = _named(self._store.list_manifests(), blobs)
            for blob in blobs:
                if blob.digest in named:
                    deletion.unretain(blob.digest, horizon, named[blob.digest])
                elif deletion.delete(blob.digest, horizon):
                    deleted.append(blob)
        return deleted

    def _stored(self, digests: Iterable[str]) -> Iterator[Blob]:
        for digest in set(digests):
            try:
                yield self._store.stat(digest)
            except BlobNotFound:
                continue

    def _forget(self, derived: ModelName, unless_newer_than: datetime) -> bool:
        """Delete a derived manifest that was not written again; its blobs are young if it was."""
        try:
            if self._store.read_manifest(derived).modified_at > unless_newer_than:
                return False
            self._store.delete_manifest(derived)
        except ModelNotFound:
            return False
        return True


def _named(manifests: Iterable[Manifest], blobs: Iterable[Blob]) -> Mapping[str, datetime]:
    return named_among(manifests, {blob.digest for blob in blobs})


def _logged(collected: Collected) -> Collected:
    if collected.deleted:
        logger.info("removed %d blobs, %d bytes", collected.blobs, collected.size)
    return collected


def _prevented(error: InvalidModel) -> Collected:
    logger.error("%s", error.message)
    return Collected(obstacle=error.message)
