"""The manifests of an S3 store."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from common.errors import InvalidName, ModelNotFound
from common.names import ModelName
from store.interface import Manifest
from store.s3_bucket import Bucket, StoredObject

_PREFIX = "manifests/"
_LEVELS = 4  # host, namespace, model, tag
_AT_ONCE = 64  # manifests read ahead while they are listed
_LARGEST_CACHED = 64 * 1024  # bytes


class S3Manifests:
    """Manifests as objects.

    What was listed once is not read again until its ETag or its time changes.
    """

    def __init__(self, bucket: Bucket, threads: ThreadPoolExecutor) -> None:
        self._bucket = bucket
        self._threads = threads
        self._cached: dict[StoredObject, Manifest] = {}

    def read(self, name: ModelName) -> Manifest:
        """Read a manifest."""
        got = self._bucket.get(_path(name))
        if got is None:
            raise _not_found(name)
        return Manifest(name, got[1], got[0].modified_at)

    def write(self, name: ModelName, content: bytes) -> Manifest:
        """Write a manifest."""
        self._bucket.put(_path(name), content)
        written = self._bucket.find(_path(name))
        if written is None:  # deleted at once by somebody else
            raise _not_found(name)
        return Manifest(name, content, written.modified_at)

    def delete(self, name: ModelName) -> None:
        """Delete a manifest."""
        if self._bucket.find(_path(name)) is None:
            raise _not_found(name)
        self._bucket.delete(_path(name))

    def read_all(self) -> Iterator[Manifest]:
        """Read all manifests, several at a time."""
        seen: dict[StoredObject, Manifest] = {}
        listed = self._bucket.list(_PREFIX)
        while batch := list(islice(listed, _AT_ONCE)):
            for manifest in self._threads.map(lambda entry: self._current(entry, seen), batch):
                if manifest:
                    yield manifest
        self._cached = seen

    def _current(self, entry: StoredObject, seen: dict[StoredObject, Manifest]) -> Manifest | None:
        """Give what was listed; None for foreign objects and what has just gone."""
        manifest = self._cached.get(entry)
        if manifest is None:
            name = _name(entry.path)
            got = self._bucket.get(_path(name)) if name else None
            if name is None or got is None:
                return None
            manifest = Manifest(name, got[1], got[0].modified_at)
            if got[0].etag != entry.etag or len(got[1]) > _LARGEST_CACHED:
                return manifest
        seen[entry] = manifest
        return manifest


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
