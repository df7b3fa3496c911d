"""An upload into a folder: a file in `uploads/` until it is published."""

import os
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from common.errors import StoreFailed
from store.files import store_errors
from store.upload import Upload

_NAME = re.compile(r"upload-[0-9a-f]{32}")


def new_upload_path(uploads: Path) -> Path:
    """Name a file that nobody else uses."""
    return uploads / f"upload-{uuid.uuid4().hex}"


def is_upload(file_name: str) -> bool:
    """Tell files that we made in `uploads/` from foreign ones."""
    return _NAME.fullmatch(file_name) is not None


class FolderUpload(Upload):
    """Writes a file in `uploads/`; `publish` moves it to where its digest belongs."""

    def __init__(
        self,
        uploads: Path,
        publish: Callable[[Path, str], None],
        digest: str | None,
        size: int | None,
    ) -> None:
        super().__init__(digest, size)
        self._move_into_place = publish
        self._path = new_upload_path(uploads)
        self._file = self._path.open("xb")

    @store_errors()
    def _append(self, data: bytes | bytearray) -> None:
        self._file.write(data)

    @store_errors()
    def _publish(self, digest: str) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        try:
            self._move_into_place(self._path, digest)
        except FileNotFoundError as error:
            raise StoreFailed("the upload was idle for too long and has been aborted") from error
        self._file.close()

    @store_errors()
    def _discard(self) -> None:
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # what is still buffered need not be written
            self._file.close()
