"""Uploads into a folder: a file in `uploads/` until it is published."""

import os
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from common.errors import StoreFailed
from store.files import begin_writeback, store_errors, write_fully
from store.prefix_hash import PrefixHash
from store.upload import Bytes, Upload

# Bytes after which the disk is set to work. Without that it is idle until the last byte has come,
# and the client waits while all of them are written.
_WRITEBACK_SIZE = 16 * 1024 * 1024

_NAME = re.compile(r"upload-[0-9a-f]{32}")


def new_upload_path(uploads: Path) -> Path:
    """Name a file that nobody else uses."""
    return uploads / f"upload-{uuid.uuid4().hex}"


def is_upload(file_name: str) -> bool:
    """Tell files that we made in `uploads/` from foreign ones."""
    return _NAME.fullmatch(file_name) is not None


class FolderUpload(Upload):
    """Writes a file in `uploads/`; `publish` moves it to where its digest belongs.

    With `keep` the file at `path` is locked for this upload, and has `offset` bytes.
    """

    def __init__(
        self,
        file: FileIO,
        path: Path,
        *,
        publish: Callable[[Path, str], None],
        remove: Callable[[Path], None],
        digest: str | None,
        size: int | None,
        keep: bool = False,
        offset: int = 0,
    ) -> None:
        self._prefix_hash = PrefixHash(file.fileno(), offset)
        super().__init__(digest, size, keep=keep, offset=offset, sha256=self._prefix_hash)
        self._move_into_place = publish
        self._remove = remove
        self._path = path
        self._file = file
        self._unsynced = 0

    @store_errors()
    def _append(self, data: Bytes) -> None:
        write_fully(self._file, data)
        self._unsynced += len(data)
        if self._unsynced >= _WRITEBACK_SIZE:
            begin_writeback(self._file, self._size - self._unsynced, self._unsynced)
            self._unsynced = 0

    @store_errors()
    def _publish(self, digest: str) -> None:
        self._sync()
        try:
            self._move_into_place(self._path, digest)
        except FileNotFoundError as error:
            raise StoreFailed("the upload was idle for too long and has been aborted") from error
        self._close()

    def _suspend(self) -> None:
        self._close()

    @store_errors()
    def _discard(self) -> None:
        try:
            self._remove(self._path)
        finally:
            self._close()  # which unlocks it

    def _interrupt(self) -> None:
        self._prefix_hash.interrupt()

    def _sync(self) -> None:
        try:
            os.fsync(self._file.fileno())
        except OSError:
            self._keep = False  # the kernel may count lost pages as written
            raise

    def _close(self) -> None:
        with suppress(OSError):  # what matters has been synced
            self._file.close()
