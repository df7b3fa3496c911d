"""A store in a folder, laid out as Ollama lays out its models folder.

    blobs/sha256-<64 hex>                         a blob
    manifests/<host>/<namespace>/<model>/<tag>    a manifest, byte for byte
    uploads/                                      what is not visible yet

The folder may hold an existing collection of Ollama's; files that it does not know are
never touched. A blob's modification time says when it was last wanted.
"""

import errno
import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from common.digests import hex_digits
from common.errors import BlobNotFound, UploadMoved
from common.names import ModelName
from store.files import exclusive, modification_time, store_errors, sync_folder
from store.folder_deletion import FolderDeletion
from store.folder_kept import KeptUploads
from store.folder_manifests import FolderManifests
from store.folder_upload import FolderUpload, is_upload, new_upload_path
from store.interface import CHUNK_SIZE, Blob, Location, Manifest, Store, UploadStatus

_BLOB = re.compile(r"sha256-([0-9a-f]{64})")
_DELETING = ".deleting"


class FolderStore(Store):
    """Blobs and manifests as files; `root` and what is below it are created when needed.

    A lock in `uploads/` makes deleting a blob, retaining it and publishing it exclude
    each other, also between processes; another is held by those who are about to delete,
    and passed through by those who have written a manifest.
    """

    announces_many_as_one = True

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._uploads = root / "uploads"
        self._manifest_root = root / "manifests"
        self._manifests = FolderManifests(self._manifest_root, self._uploads)
        self._kept = KeptUploads(self._uploads, self._lock)

    @store_errors()
    def check(self) -> None:
        """Create the folders, and prove that files can be locked and made."""
        for folder in (self._blobs, self._manifest_root, self._uploads):
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "no permission to read and write", str(folder))
        with self._lock():
            (self._uploads / _DELETING).touch()  # on a full disk it could not be made
        with self.begin_upload():
            pass
        self._manifests.find_out_about_times()

    @store_errors()
    def begin_upload(
        self,
        digest: str | None = None,
        size: int | None = None,
        *,
        keep: bool = False,
        offset: int = 0,
    ) -> FolderUpload:
        """Start a file in `uploads/`, or go on with one; it is hashed again as it is used."""
        self._uploads.mkdir(parents=True, exist_ok=True)
        kept, path = None, new_upload_path(self._uploads)
        if keep and digest and size is not None:
            if kept := self._kept.open(digest, size, offset):
                path = self._kept.path(digest, size)
        elif offset:
            raise UploadMoved("only a kept upload goes on")
        return FolderUpload(
            kept or path.open("xb", buffering=0),
            path,
            publish=self._publish,
            remove=self._remove_upload,
            digest=digest,
            size=size,
            keep=kept is not None,
            offset=offset,
        )

    @store_errors()
    def upload_status(self, digest: str, size: int) -> UploadStatus:
        """Measure the file."""
        return self._kept.status(digest, size)

    @store_errors()
    def stat(self, digest: str) -> Blob:
        """Ask the file system."""
        try:
            return _blob(digest, self._path(digest).stat())
        except FileNotFoundError:
            raise _not_found(digest) from None

    @store_errors()
    def read(self, digest: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read from a file that stays open, and whole, even if it is deleted meanwhile."""
        try:
            file = self._path(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise _not_found(digest) from None
        rest = max(0, os.fstat(file.fileno()).st_size - offset)
        return _chunks(file, offset, rest if length is None else min(length, rest))

    def locate(self, digest: str) -> Location:
        """Give the blob's path, valid wherever the folder is mounted at the same place."""
        return Location(size=self.stat(digest).size, path=self._path(digest))

    @store_errors()
    def retain(self, digest: str) -> Blob:
        """Touch the file."""
        path = self._path(digest)
        with self._lock():
            try:
                os.utime(path)
                return _blob(digest, path.stat())
            except FileNotFoundError:
                raise _not_found(digest) from None

    @contextmanager
    def deleting(self, digests: Collection[str]) -> Iterator[FolderDeletion]:
        """Hold a lock, whichever blobs it is about: all others wait a moment."""
        with store_errors(), self._lock(_DELETING):
            yield FolderDeletion(self._path, self._lock)

    @store_errors()
    def await_deletions(self, digests: Collection[str]) -> None:
        """Take the lock of those who delete, and give it back."""
        with self._lock(_DELETING):
            pass

    def list_blobs(self) -> Iterator[Blob]:
        """Give the files in `blobs/` that are named as blobs; no partial downloads."""
        with store_errors():
            for entry in _entries(self._blobs):
                match = _BLOB.fullmatch(entry.name)
                status = _status(entry) if match else None
                if match and status:
                    yield _blob(f"sha256:{match[1]}", status)

    @store_errors()
    def abort_uploads(self, idle_since: datetime) -> int:
        """Remove our files in `uploads/` that were not written to lately."""
        aborted = self._kept.remove_idle(idle_since)
        for entry in _entries(self._uploads):
            status = _status(entry) if is_upload(entry.name) else None
            if status and modification_time(status) <= idle_since:
                Path(entry).unlink(missing_ok=True)
                aborted += 1
        return aborted

    @store_errors()
    def read_manifest(self, name: ModelName) -> Manifest:
        """Read the file."""
        return self._manifests.read(name)

    @store_errors()
    def write_manifest(self, name: ModelName, content: bytes) -> Manifest:
        """Write a file in `uploads/` and rename it."""
        return self._manifests.write(name, content)

    @store_errors()
    def delete_manifest(self, name: ModelName) -> None:
        """Remove the file and the folders that this leaves empty."""
        self._manifests.delete(name)

    def list_manifests(self) -> Iterator[Manifest]:
        """Read the files that lie as deep as a name has parts, each once while it is the same."""
        with store_errors():
            yield from self._manifests.read_all(anew=True)

    def known_manifests(self) -> Iterable[Manifest]:
        """List folders alone whose times say that something in them has changed."""
        with store_errors():
            yield from self._manifests.read_all()

    @store_errors()
    def names_like(self, name: ModelName) -> list[ModelName]:
        """Look into those folders alone whose names are alike."""
        return sorted(self._manifests.names_like(name), key=lambda found: found.path)

    @contextmanager
    def _lock(self, name: str = ".lock") -> Iterator[None]:
        self._uploads.mkdir(parents=True, exist_ok=True)
        with exclusive(self._uploads / name):
            yield

    def _path(self, digest: str) -> Path:
        return self._blobs / f"sha256-{hex_digits(digest)}"

    def _publish(self, upload: Path, digest: str) -> None:
        self._blobs.mkdir(parents=True, exist_ok=True)
        with self._lock():
            os.utime(upload)  # its age begins now, not with its last byte
            upload.replace(self._path(digest))
        sync_folder(self._blobs)

    def _remove_upload(self, upload: Path) -> None:
        with self._lock():
            upload.unlink(missing_ok=True)


def _blob(digest: str, status: os.stat_result) -> Blob:
    return Blob(digest, status.st_size, modification_time(status))


def _not_found(digest: str) -> BlobNotFound:
    return BlobNotFound(f'blob "{digest}" not found')


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Give a file's status; None for a folder and for a file that has just gone."""
    try:
        return entry.stat() if entry.is_file() else None
    except FileNotFoundError:
        return None


def _chunks(file: BinaryIO, offset: int, length: int) -> Iterator[bytes]:
    with store_errors(), file:
        if length:
            file.seek(offset)
        while length > 0:
            chunk = file.read(min(CHUNK_SIZE, length))
            if not chunk:
                raise OSError(errno.EIO, "a file was cut short", file.name)
            length -= len(chunk)
            yield chunk
