"""The manifests of an S3 store."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from itertools import islice

from common.errors import InvalidName, ModelNotFound
from common.names import ModelName
from store.interface import Manifest
from store.s3_bucket import Bucket, StoredObject
from store.s3_errors import s3_errors
from store.s3_journal import Journal
from store.s3_known import KnownManifests
from store.seen_manifests import SeenManifests

_PREFIX = "manifests/"
_LEVELS = 4  # host, namespace, model, tag
_AT_ONCE = 64  # manifests read ahead while they are listed


class S3Manifests:
    """Manifests as objects.

    What was listed once is not read again until its ETag or its time changes, if the server
    has ETags.
    """

    def __init__(
        self,
        bucket: Bucket,
        threads: ThreadPoolExecutor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bucket = bucket
        self._threads = threads
        self._seen: SeenManifests[StoredObject] = SeenManifests()
        self._journal = Journal(bucket)
        self._known = KnownManifests(self._journal, self._read_all, self._read_some, clock)

    def read(self, name: ModelName) -> Manifest:
        """Read a manifest."""
        got = self._bucket.get(_path(name))
        if got is None:
            raise _not_found(name)
        return Manifest(name, got[1], got[0].modified_at)

    def write(self, name: ModelName, content: bytes) -> Manifest:
        """Write a manifest."""
        with self._changing(name):
            self._bucket.put(_path(name), content)
        written = self._bucket.find(_path(name))
        if written is None:  # deleted at once by somebody else
            raise _not_found(name)
        return Manifest(name, content, written.modified_at)

    def delete(self, name: ModelName) -> None:
        """Delete a manifest."""
        if self._bucket.find(_path(name)) is None:
            raise _not_found(name)
        with self._changing(name):
            self._bucket.delete(_path(name))

    def read_all(self) -> Iterator[Manifest]:
        """List all manifests, and read those that are new or have changed, several at a time."""
        seen: SeenManifests[StoredObject] = SeenManifests()
        with self._known.listing() as found:
            listed = self._bucket.list(_PREFIX)
            while batch := list(islice(listed, _AT_ONCE)):
                for manifest in self._current(batch, seen):
                    found[manifest.name.path] = manifest
                    yield manifest
            self._seen = seen

    def known(self) -> list[Manifest]:
        """Give all manifests as they are known, which takes one listing of what has changed."""
        return self._known.all()

    def names_like(self, name: ModelName) -> list[ModelName]:
        """Give the known names that differ from a name in case alone."""
        return self._known.alike(name)

    def remove_leftovers(self, idle_since: datetime) -> None:
        """Remove what processes that have gone told of their changes."""
        self._journal.remove_idle(idle_since)

    @contextmanager
    def _changing(self, name: ModelName) -> Iterator[None]:
        """Tell of a change that may have been made even if it failed."""
        try:
            yield
        finally:
            self._known.note(name.path)
            self._journal.tell(name.path)

    def _current(
        self, batch: Iterable[StoredObject], seen: SeenManifests[StoredObject]
    ) -> Iterator[Manifest]:
        """Give what was listed, but for foreign objects and what has just gone."""
        kept = [(entry, self._seen.get(entry)) for entry in batch]
        missing = [entry for entry, manifest in kept if manifest is None]
        read = dict(zip(missing, self._threads.map(self._read_entry, missing), strict=True))
        for entry, manifest in kept:
            etag, manifest = (entry.etag, manifest) if manifest else read[entry]
            if manifest:
                if etag and etag == entry.etag:
                    seen.keep(entry, manifest)
                yield manifest

    def _read_entry(self, entry: StoredObject) -> tuple[str, Manifest | None]:
        name = _name(entry.path)
        got = self._bucket.get(entry.path) if name else None
        if name is None or got is None:
            return "", None
        return got[0].etag, Manifest(name, got[1], got[0].modified_at)

    def _read_all(self) -> None:
        with s3_errors():
            deque(self.read_all(), maxlen=0)

    def _read_some(self, names: Collection[str]) -> Iterator[tuple[str, Manifest | None]]:
        def read(path: str) -> tuple[str, Manifest | None]:
            name = _name(path)
            try:
                return path, self.read(name) if name else None
            except ModelNotFound:
                return path, None

        yield from self._threads.map(read, names)


def _path(name: ModelName) -> str:
    return f"{_PREFIX}{name.path}"


def _name(path: str) -> ModelName | None:
    parts = path.removeprefix(_PREFIX).split("/")
    if len(parts) != _LEVELS:
        return None
    try:
        return ModelName(*parts)
    except InvalidName:
        return None


def _not_found(name: ModelName) -> ModelNotFound:
    return ModelNotFound(f"model '{name}' not found")
