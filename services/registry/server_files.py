"""Files of this machine that requests may name: Modelfiles, and folders of models.

A request comes from anybody who reaches the REST API, so every path has to lead into one
folder that the operator named, with all symbolic links followed.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from common.errors import InvalidModel, InvalidRequest, TooLarge
from common.modelfile.modelfile import decode_modelfile
from services.registry.errors import unquoted

_MAX_MODELFILE = 4 * 1024 * 1024
MAX_ENTRIES = 5_000


class ServerFiles:
    """Reads below one folder; without one, every path is refused.

    All methods block. Each raises `InvalidRequest` when a path leads out of the folder, or
    to nothing.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root.resolve() if root else None

    def read_modelfile(self, path: str) -> tuple[str, Path]:
        """Read a Modelfile; give its text and the folder in which it lies.

        Raises:
            TooLarge: it is too long for a Modelfile.
        """
        found = self.find(path)
        with open_file(found) as file:
            content = file.read(_MAX_MODELFILE + 1)
        if len(content) > _MAX_MODELFILE:
            raise TooLarge(f"a Modelfile has at most {_MAX_MODELFILE} bytes")
        with unquoted(path):
            return decode_modelfile(content), found.parent

    def find(self, path: str, place: Path | None = None) -> Path:
        """Find what a path leads to; a relative one begins at `place`, else in the folder."""
        found = self._resolve(path, place)
        try:
            found.stat()
        except OSError as error:
            raise InvalidRequest(f'cannot read "{path}": {error.strerror}') from None
        return found

    def exists(self, path: str, place: Path) -> bool:
        """Tell whether a path leads to something in the folder."""
        try:
            self.find(path, place)
        except InvalidRequest:
            return False
        return True

    def list_folder(self, folder: Path) -> dict[str, Path]:
        """List the files below a folder by their paths within it, without hidden ones.

        Raises:
            InvalidModel: there are too many for a model.
            InvalidRequest: a link to a file leaves the folder, or a folder cannot be read.
        """
        own = _own_folders(folder)
        files: dict[str, Path] = {}
        for count, path in enumerate(_walk(folder)):
            if count >= MAX_ENTRIES:
                raise InvalidModel(f"{folder} holds too much for the folder of one model")
            relative = path.relative_to(folder).as_posix()
            target = self._resolve(str(path), None)
            if not os.path.isfile(target):  # noqa: PTH113 - Path's own raises PermissionError
                continue
            if not any(target.is_relative_to(place) for place in own):
                raise InvalidRequest(f'"{path}" is a link that leaves the folder of the model')
            files[relative] = target
        return files

    def _resolve(self, path: str, place: Path | None) -> Path:
        if self._root is None:
            raise InvalidRequest(
                f'"{path}" cannot be read: files of the server are read only below the folder '
                "that the registry's setting PADDOCK_MODELFILES names, and it is not set"
            )
        try:
            found = ((place or self._root) / path).resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, or no path at all
            raise InvalidRequest(f'cannot read "{path}"') from None
        if not found.is_relative_to(self._root):
            raise InvalidRequest(f'"{path}" is not in the folder of PADDOCK_MODELFILES')
        return found


def open_file(path: Path) -> BinaryIO:
    """Open a file whose path is resolved, and nothing else: no device, no pipe, no link.

    Raises:
        InvalidRequest: it is none, may not be read, or a folder on its path is a link by now.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidRequest(f'cannot read "{path}": {error.strerror}') from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidRequest(f'"{path}" is not a file')
        if Path(f"/proc/self/fd/{descriptor}").readlink() != path:
            raise InvalidRequest(f'cannot read "{path}": it has been moved or replaced')
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _own_folders(folder: Path) -> tuple[Path, ...]:
    """Give the places where a model's files may lie.

    A snapshot in the cache of Hugging Face's libraries, `<repository>/snapshots/<revision>`,
    consists of links into `<repository>/blobs`.
    """
    if folder.parent.name == "snapshots":
        return folder, folder.parent.parent / "blobs"
    return (folder,)


def _walk(folder: Path) -> Iterator[Path]:
    """Give what lies below a folder, not following links to folders, in a fixed order."""
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in folders)
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _refuse(error: OSError) -> None:
    raise InvalidRequest(f'cannot read "{error.filename}": {error.strerror}')
