"""What lies in a tree of folders, without listing a folder again that has not changed.

A file system sets a folder's time when something in it is made, renamed or removed, and a
file's time when it is written. Such times are as coarse as some milliseconds, in old file
systems two seconds: what has just changed may change again and keep its time. So what is
younger than that is looked at each time.
"""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

_SETTLED = 3_000_000_000  # nanoseconds


class Version(NamedTuple):
    """What tells that a file is the same as before."""

    path: str
    inode: int
    size: int
    modified_at: int
    changed_at: int

    def is_settled(self, now: int) -> bool:
        """Tell whether a change from now on (in nanoseconds of Unix time) would show."""
        return now - self.changed_at > _SETTLED


def version_of(path: str, status: os.stat_result) -> Version:
    """Tell the version of a file or folder from its status."""
    return Version(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class FolderScan:
    """Remembers the entries of folders for as long as they stay the same."""

    def __init__(
        self,
        clock: Callable[[], int],
        folder_version: Callable[[str, os.stat_result], Version] = version_of,
    ) -> None:
        self._clock = clock
        self._folder_version = folder_version
        self._entries: dict[Version, tuple[str, ...]] = {}

    def files(self, root: str, levels: int, *, anew: bool = False) -> Iterator[str]:
        """Find the paths of files that lie exactly `levels` deep, below the root.

        `anew`: list every folder, whatever its times say. A folder that cannot be read raises.
        """
        if anew:
            self._entries = {}
        now = self._clock()
        seen: dict[Version, tuple[str, ...]] = {}
        folders = [""]
        for _ in range(levels - 1):
            folders = [
                f"{folder}{name}/"
                for folder in folders
                for name in self._names(f"{root}/{folder}", True, now, seen)
            ]
        for folder in folders:
            for name in self._names(f"{root}/{folder}", False, now, seen):
                yield f"{folder}{name}"
        self._entries = seen

    def _names(
        self, folder: str, of_folders: bool, now: int, seen: dict[Version, tuple[str, ...]]
    ) -> tuple[str, ...]:
        """Give the names of the folders in a folder, or of its files."""
        try:
            # A path as an object would cost more than the call.
            version = self._folder_version(folder, os.stat(folder))  # noqa: PTH116
            names = self._entries.get(version)
            if names is None:
                with os.scandir(folder) as entries:
                    found = list(entries)
                names = tuple(each.name for each in found if each.is_dir() == of_folders)
                # Where a link leads may come and go without a trace here.
                stays = not any(each.is_symlink() for each in found)
            else:
                stays = True
        except FileNotFoundError:
            return ()
        if stays and version.is_settled(now):
            seen[version] = names
        return names


def names_like(root: str, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Find the paths below a folder that differ from a given one in upper and lower case alone."""
    first, *rest = parts
    try:
        with os.scandir(root) as entries:
            alike = [entry.name for entry in entries if entry.name.lower() == first.lower()]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in alike:
        if not rest:
            yield (name,)
        for below in names_like(f"{root}/{name}", tuple(rest)) if rest else ():
            yield (name, *below)
