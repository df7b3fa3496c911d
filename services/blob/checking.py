"""Checks a store: whether each blob has the bytes of its digest, each manifest its blobs.

The store may be in use meanwhile. What others remove or replace while it is being looked
at is no problem.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock

from common.errors import BlobNotFound, Canceled, InvalidRequest, ModelNotFound, PaddockError
from services.blob.manifest import NamedBlob, described_blobs
from store.interface import Blob, Manifest, Store

_THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class Problem:
    """Something that is visible and wrong, in words."""

    text: str
    wrong_blob: Blob | None = None
    """A blob whose bytes are not those of its digest."""


@dataclass
class Progress:
    """How far a check has come; the totals are known once the blobs have been listed."""

    manifests: int = 0
    blobs: int = 0
    size: int = 0
    all_blobs: int = 0
    all_size: int = 0


class StoreCheck:
    """One check of a store; `progress` may be read while it runs."""

    def __init__(self, store: Store) -> None:
        self.progress = Progress()
        self._store = store
        self._sizes: dict[str, int] = {}
        self._users: dict[str, list[str]] = defaultdict(list)
        self._lock = Lock()
        self._stopped = Event()

    def problems(self) -> Iterator[Problem]:
        """Check all manifests, then all blobs, and give what is wrong as it is found.

        Raises:
            StoreFailed: the blobs cannot be listed.
        """
        yield from self._manifest_problems()
        yield from self._blob_problems()

    def _manifest_problems(self) -> Iterator[Problem]:
        try:
            for manifest in self._store.list_manifests():
                self.progress.manifests += 1
                yield from self._problems_of(manifest)
        except PaddockError as error:
            yield Problem(f"manifests: {error.message}")

    def _problems_of(self, manifest: Manifest) -> Iterator[Problem]:
        try:
            named = set(described_blobs(manifest.content))
        except InvalidRequest as error:
            yield Problem(f"{manifest.name}: {error.message}")
            return
        for blob in sorted(named, key=lambda blob: blob.digest):
            self._users[blob.digest].append(str(manifest.name))
            size = self._size(blob.digest)
            if size is None:
                if self._is_current(manifest) and self._size(blob.digest) is None:
                    yield Problem(f"{manifest.name}: {self._missing(blob)}")
            elif blob.size not in (None, size):
                yield Problem(
                    f"{manifest.name}: blob {blob.digest} has {size} bytes instead of {blob.size}"
                )

    def _missing(self, blob: NamedBlob) -> str:
        text = f"blob {blob.digest} is not stored"
        if blob.size is not None:
            status = self._store.upload_status(blob.digest, blob.size)
            if status.committed_size:
                text += f", {status.committed_size} of its {blob.size} bytes have come"
        return text

    def _size(self, digest: str) -> int | None:
        if digest not in self._sizes:
            try:
                self._sizes[digest] = self._store.stat(digest).size
            except BlobNotFound:
                return None
        return self._sizes[digest]

    def _is_current(self, manifest: Manifest) -> bool:
        try:
            return self._store.read_manifest(manifest.name).content == manifest.content
        except ModelNotFound:
            return False

    def _blob_problems(self) -> Iterator[Problem]:
        # The largest first, lest one of them is left to a single thread at the end.
        blobs = sorted(self._store.list_blobs(), key=lambda blob: -blob.size)
        self.progress.all_blobs = len(blobs)
        self.progress.all_size = sum(blob.size for blob in blobs)
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fsck")
        try:
            for problem in threads.map(self._problem_of, blobs):
                self.progress.blobs += 1
                if problem:
                    yield problem
        finally:
            self._stopped.set()
            threads.shutdown(cancel_futures=True)

    def _problem_of(self, blob: Blob) -> Problem | None:
        try:
            # A listing may tell an earlier time, by which a wrong blob would seem to be wanted.
            blob = self._store.stat(blob.digest)
            actual = self._digest(blob)
        except PaddockError as error:
            if self._is_gone(blob):
                return None
            return Problem(f"blob {blob.digest}{self._used_by(blob)}: {error.message}")
        if actual == blob.digest:
            return None
        return Problem(f"blob {blob.digest}{self._used_by(blob)} has the bytes of {actual}", blob)

    def _digest(self, blob: Blob) -> str:
        digest = hashlib.sha256()
        for chunk in self._store.read(blob.digest):
            if self._stopped.is_set():
                raise Canceled
            digest.update(chunk)
            with self._lock:
                self.progress.size += len(chunk)
        return f"sha256:{digest.hexdigest()}"

    def _is_gone(self, blob: Blob) -> bool:
        try:
            self._store.stat(blob.digest)
        except BlobNotFound:
            return True
        except PaddockError:
            return False
        return False

    def _used_by(self, blob: Blob) -> str:
        users = self._users.get(blob.digest)
        return f" of {', '.join(sorted(users))}" if users else ""
