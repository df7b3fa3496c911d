"""What every kind of storage offers to the Blob service.

Digests are normalised (`sha256:<64 lower-case hex>`, see `common.digests`). Methods block
and may be called from several threads, and several processes may share one store.
Besides the errors stated, every method may raise `StoreFailed`, or `Unavailable` where a
store that lies elsewhere cannot be reached just now, and those that write `StoreFull`;
what had been begun is then undone.

Times come from the storage's own clock, so that they compare across processes: a blob
retained before a manifest was written is never newer than that manifest.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from common.names import ModelName
from store.upload import Upload

CHUNK_SIZE = 1024 * 1024
"""Bytes that `Store.read` gives at a time; the last chunk may be shorter."""


@dataclass(frozen=True)
class Blob:
    """A stored blob: its size in bytes, and when it was last stored or retained (UTC)."""

    digest: str
    size: int
    modified_at: datetime


@dataclass(frozen=True)
class Location:
    """Where a blob can be read without the service: a path or a URL, one of the two."""

    size: int
    path: Path | None = None
    url: str | None = None
    expires_at: datetime | None = None
    """When the URL stops to answer; None: never."""


@dataclass(frozen=True)
class UploadStatus:
    """How far a kept upload has come."""

    committed_size: int = 0
    """Bytes that are stored; 0 when there is no such upload."""

    busy: bool = False
    """It is being written now, as far as that can be told: S3 knows only of this process."""


@dataclass(frozen=True)
class Manifest:
    """A stored manifest: its bytes as they were written, and when that was (UTC)."""

    name: ModelName
    content: bytes
    modified_at: datetime


class Deletion(ABC):
    """Blobs that were announced to go, while it is decided whether they do."""

    @abstractmethod
    def delete(self, digest: str, unless_newer_than: datetime) -> bool:
        """Delete a blob unless it was stored or retained after the given time.

        Gives whether it was there and went. The time is checked as close to the deletion
        as the storage allows; where it can be, both are one step towards `retain` and
        `Upload.commit`. A blob that another is about to delete is left to him.
        """

    @abstractmethod
    def unretain(self, digest: str, unless_newer_than: datetime, back_to: datetime) -> None:
        """Undo what retained a blob, unless that was after `unless_newer_than`.

        The blob is then as old as if it had last been wanted at `back_to`, or as old as
        what is stored of it, where that is younger.
        """


class Store(ABC):
    """Content-addressed blobs, and manifests that name them."""

    announces_many_as_one: ClassVar[bool] = False
    """Whether `deleting` costs the same, and holds up others as long, for any number of blobs."""

    @abstractmethod
    def check(self) -> None:
        """Make the store ready for use, or raise what keeps it from being usable.

        Creates what is missing. Cheap enough to be called every few seconds.
        """

    @abstractmethod
    def begin_upload(
        self,
        digest: str | None = None,
        size: int | None = None,
        *,
        keep: bool = False,
        offset: int = 0,
    ) -> Upload:
        """Start to store a blob.

        Nothing is visible before `Upload.commit`, which refuses bytes that do not match
        `digest` and `size`. With no digest the blob is stored under what it turns out to
        be. The size in bytes, where known, also lets a backend plan its parts. Several
        uploads of one digest may run at once; each ends as if it were the only one.

        With `keep`, which takes a digest and a size, what was written outlives an abort
        and the death of the process, until `abort_uploads` finds it idle; bytes that
        prove to be wrong are thrown away all the same. Another upload goes on from there
        by giving its `committed_size` as `offset`; one that begins at 0 replaces it. At
        most one upload of a digest is kept: while one is being written, another one with
        `keep` is an upload like any other.

        Raises:
            UploadMoved: there is no kept upload of that length, or it is being written.
        """

    @abstractmethod
    def upload_status(self, digest: str, size: int) -> UploadStatus:
        """Tell how far a kept upload of this digest and size has come."""

    @abstractmethod
    def stat(self, digest: str) -> Blob:
        """Give a blob's size and age.

        Raises:
            BlobNotFound: it is not stored.
        """

    @abstractmethod
    def read(self, digest: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read a blob, or a range of it, in chunks of `CHUNK_SIZE`.

        The range is cut at the blob's end; one that starts there or later gives nothing.
        A blob deleted meanwhile is read to its end or fails, but never ends early in
        silence.

        Raises:
            BlobNotFound: it is not stored; raised by the call, not by the first chunk.
        """

    @abstractmethod
    def locate(self, digest: str) -> Location:
        """Say where the blob's bytes are, for a reader who needs no other credentials.

        Raises:
            BlobNotFound: it is not stored.
        """

    @abstractmethod
    def retain(self, digest: str) -> Blob:
        """Make a blob as young as if it had just been stored, and give its new state.

        Raises:
            BlobNotFound: it is not stored.
        """

    @abstractmethod
    def deleting(self, digests: Collection[str]) -> AbstractContextManager[Deletion]:
        """Announce that blobs may go, until the context is left; keep it short.

        Whoever writes a manifest and then calls `await_deletions` is either seen by those
        who list manifests within the context, or waits for its end.
        """

    @abstractmethod
    def await_deletions(self, digests: Collection[str]) -> None:
        """Wait while one of some blobs is announced to go; what has gone is gone then."""

    def delete_blob(self, digest: str, unless_newer_than: datetime) -> bool:
        """Announce and delete one blob, as `Deletion.delete` does."""
        with self.deleting([digest]) as deletion:
            return deletion.delete(digest, unless_newer_than)

    @abstractmethod
    def list_blobs(self) -> Iterator[Blob]:
        """Give every blob, in no order. Foreign files are passed over."""

    @abstractmethod
    def abort_uploads(self, idle_since: datetime) -> int:
        """Remove what is left of uploads that wrote nothing after the given time.

        Gives their number. An upload whose owner is alive after all fails at its commit.
        """

    @abstractmethod
    def read_manifest(self, name: ModelName) -> Manifest:
        """Give the manifest of exactly this name; spelling counts.

        Raises:
            ModelNotFound: no manifest has this name.
        """

    @abstractmethod
    def write_manifest(self, name: ModelName, content: bytes) -> Manifest:
        """Store a manifest, replacing an earlier one in a single step. The last writer wins."""

    @abstractmethod
    def delete_manifest(self, name: ModelName) -> None:
        """Delete the manifest of exactly this name.

        Raises:
            ModelNotFound: no manifest has this name.
        """

    @abstractmethod
    def list_manifests(self) -> Iterator[Manifest]:
        """Give every manifest, in no order.

        Files whose path is no model name are passed over. A manifest that is there but
        cannot be read raises: to leave it out would make its blobs look like garbage.
        """

    def known_manifests(self) -> Iterable[Manifest]:
        """Give every manifest, in no order, at less cost where a listing is slow.

        Whatever a process of ours has answered to be written or deleted is in it, and out of
        it. What others do to the storage may show later: see the backend.
        """
        return self.list_manifests()

    @abstractmethod
    def names_like(self, name: ModelName) -> list[ModelName]:
        """Give the names of manifests that differ from a name in upper and lower case alone.

        As current as `known_manifests`, and sorted; `name` itself may be one of them.
        """
