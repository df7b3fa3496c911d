"""The manifests of a folder store, and the folders that they make and leave behind."""

import os
from collections.abc import Iterator
from pathlib import Path

from common.errors import InvalidName, ModelNotFound
from common.names import ModelName
from store.files import modification_time, sync_folder
from store.folder_upload import new_upload_path
from store.interface import Manifest

_LEVELS = 4  # host, namespace, model, tag
_LONGEST_FILE_NAME = 255
# A delete may remove a folder that a write has just made. It takes another delete of the
# last manifest in the same folder to make the write try once more.
_ATTEMPTS = 100
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FolderManifests:
    """Manifests as files under `root`; they come into being in `uploads`."""

    def __init__(self, root: Path, uploads: Path) -> None:
        self._root = root
        self._uploads = uploads

    def read(self, name: ModelName) -> Manifest:
        """Read a manifest whole, with the time of just these bytes."""
        try:
            with self._path(name).open("rb") as file:
                status = os.fstat(file.fileno())
                return Manifest(name, file.read(), modification_time(status))
        except _ABSENT:
            raise _not_found(name) from None

    def write(self, name: ModelName, content: bytes) -> Manifest:
        """Write a manifest aside, then move it into place."""
        path = self._path(name)
        self._uploads.mkdir(parents=True, exist_ok=True)
        temporary = new_upload_path(self._uploads)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                modified_at = modification_time(os.fstat(file.fileno()))
            self._move_into_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        return Manifest(name, content, modified_at)

    def delete(self, name: ModelName) -> None:
        """Delete a manifest, then the folders that it leaves empty."""
        path = self._path(name)
        try:
            path.unlink()
        except _ABSENT:
            raise _not_found(name) from None
        sync_folder(path.parent)
        for folder in self._folders_above(path):
            try:
                folder.rmdir()
            except OSError:  # in use, or another delete was faster
                return

    def read_all(self) -> Iterator[Manifest]:
        """Read all manifests, one at a time."""
        for path in _files(self._root, _LEVELS):
            try:
                yield self.read(ModelName(*path.relative_to(self._root).parts))
            except (InvalidName, ModelNotFound):  # foreign, or deleted meanwhile
                continue

    def _path(self, name: ModelName) -> Path:
        if len(name.host) > _LONGEST_FILE_NAME:
            raise InvalidName("invalid model name")
        return self._root / name.path

    def _folders_above(self, path: Path) -> list[Path]:
        return list(path.parents)[: _LEVELS - 1]

    def _move_into_place(self, temporary: Path, path: Path) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(path)
                break
            except (FileNotFoundError, FileExistsError):  # as seen by mkdir when it loses
                if attempt == _ATTEMPTS:
                    raise
        for folder in (*self._folders_above(path), self._root):
            sync_folder(folder)


def _files(folder: Path, levels: int) -> Iterator[Path]:
    """Find the files that lie exactly `levels` deep. A folder that cannot be read raises."""
    try:
        with os.scandir(folder) as entries:
            found = [(Path(entry), entry.is_dir()) for entry in entries]
    except FileNotFoundError:
        return
    for path, is_folder in found:
        if is_folder and levels > 1:
            yield from _files(path, levels - 1)
        elif not is_folder and levels == 1:
            yield path


def _not_found(name: ModelName) -> ModelNotFound:
    return ModelNotFound(f"model '{name}' not found")
