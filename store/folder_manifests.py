"""The manifests of a folder store, and the folders that they make and leave behind."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from common.errors import InvalidName, ModelNotFound
from common.names import ModelName
from store.files import modification_time, sync_folder
from store.folder_scan import FolderScan, Version, names_like, version_of
from store.folder_upload import new_upload_path
from store.interface import Manifest
from store.seen_manifests import SeenManifests

logger = logging.getLogger(__name__)

_LEVELS = 4  # host, namespace, model, tag
_LONGEST_FILE_NAME = 255
# A delete may remove a folder that a write has just made. It takes another delete of the
# last manifest in the same folder to make the write try once more.
_ATTEMPTS = 100
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FolderManifests:
    """Manifests as files under `root`; they come into being in `uploads`.

    What was listed once is neither listed nor read again until its times change.
    """

    def __init__(self, root: Path, uploads: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._root = root
        self._uploads = uploads
        self._clock = clock
        self._scan = FolderScan(clock)
        self._trusts_times = True
        self._seen: SeenManifests[Version] = SeenManifests()

    def read(self, name: ModelName) -> Manifest:
        """Read a manifest whole, with the time of just these bytes."""
        return self._read(name)[1]

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

    def find_out_about_times(self) -> None:
        """Try whether folders get another time here when something is made in them."""
        with TemporaryDirectory(prefix=".times-", dir=self._uploads) as folder:
            os.utime(folder, ns=(0, 0))
            (Path(folder) / "made").touch()
            self._trusts_times = os.stat(folder).st_mtime_ns != 0  # noqa: PTH116
        if not self._trusts_times:
            logger.warning("%s: folders keep their times: each list reads them all", self._root)

    def read_all(self, *, anew: bool = False) -> Iterator[Manifest]:
        """Give all manifests, one at a time, and read those that are new or have changed.

        `anew`: look for them in every folder, also where its times say that nothing changed.
        """
        anew = anew or not self._trusts_times
        now = self._clock()
        seen: SeenManifests[Version] = SeenManifests()
        root = str(self._root)
        for path in self._scan.files(root, _LEVELS, anew=anew):
            try:
                yield self._current(f"{root}/{path}", path, now, seen)
            except (InvalidName, *_ABSENT, ModelNotFound):  # foreign, or deleted meanwhile
                continue
        self._seen = seen

    def names_like(self, name: ModelName) -> Iterator[ModelName]:
        """Give the names of manifests that differ from a name in case alone."""
        for parts in names_like(str(self._root), tuple(name.path.split("/"))):
            yield ModelName(*parts)

    def _current(self, file: str, path: str, now: int, seen: SeenManifests[Version]) -> Manifest:
        version = version_of(file, os.stat(file))  # noqa: PTH116, see `folder_scan`
        manifest = self._seen.get(version)
        if manifest is None:
            version, manifest = self._read(ModelName(*path.split("/")))
        if version.is_settled(now):
            seen.keep(version, manifest)
        return manifest

    def _read(self, name: ModelName) -> tuple[Version, Manifest]:
        path = self._path(name)
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                manifest = Manifest(name, file.read(), modification_time(status))
        except _ABSENT:
            raise _not_found(name) from None
        return version_of(str(path), status), manifest

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


def _not_found(name: ModelName) -> ModelNotFound:
    return ModelNotFound(f"model '{name}' not found")
