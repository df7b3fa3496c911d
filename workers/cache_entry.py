"""One model in the cache: `model/`, the folder that engines read, and `record.json` beside it.

The kernel's lock on an entry says that it is in use. It moves with the entry when that is
renamed, and goes with the process that holds it. The time of `model/` says when it was last
used: it is set when somebody begins to hold the entry and when that ends.
"""

import fcntl
import json
import os
import stat
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_MODEL = "model"
_RECORD = "record.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class CachedFile:
    """One file of an entry."""

    path: str
    """Within the model's folder."""

    size: int
    """Bytes."""

    linked: bool
    """It is the store's own file; else it takes room of its own."""


@dataclass(frozen=True)
class Record:
    """What an entry was made of."""

    name: str
    """For logs."""

    sources: list[str]
    """Digests of the blobs that it was made of: nobody wants it once the store lacks one."""

    files: list[CachedFile]

    boot: str = ""
    """The run of the machine in which it was made, until it is sure to outlive a power cut."""


class HeldFolder:
    """A model's folder that nobody removes before it is released."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.release = weakref.finalize(self, _let_go, descriptor)
        """Lets it go; so does forgetting this object."""


def model_folder(entry: Path) -> Path:
    """Give the folder with the files."""
    return entry / _MODEL


def write_record(entry: Path, name: str, sources: Sequence[str]) -> None:
    """Note what an entry is made of, with the files that are in it now."""
    folder = model_folder(entry)
    files = [_describe(path, folder) for path in sorted(folder.rglob("*")) if not path.is_dir()]
    _write(entry, Record(name, list(sources), files, this_boot()))


def make_durable(entry: Path) -> None:
    """Bring an entry to the disk, so that it counts after a power cut as well; it blocks."""
    with suppress(OSError):  # it has just been removed
        record = read_record(entry)
        folder = model_folder(entry)
        copies = [folder / file.path for file in record.files if not file.linked]
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for path in (*copies, *folders, entry, entry.parent):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _write(entry, replace(record, boot=""))


def read_record(entry: Path) -> Record:
    """Tell what an entry is made of.

    Raises:
        OSError, ValueError, KeyError, TypeError: it has no record, or none that can be read.
    """
    record = json.loads((entry / _RECORD).read_bytes())
    files = [CachedFile(**file) for file in record["files"]]
    return Record(record["name"], record["sources"], files, record["boot"])


def hold(entry: Path) -> HeldFolder:
    """Keep an entry from being removed, under whatever name.

    Raises:
        OSError: it is not there.
    """
    descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY)
    held = HeldFolder(model_folder(entry), descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if not _has_name(descriptor, entry):
        raise FileNotFoundError(f"{entry} was removed")
    _touch(descriptor)
    return held


def hold_whole(entry: Path) -> HeldFolder | None:
    """Hold an entry that has all its files; None where there is none.

    Files that were linked may have left the store since, and bytes may have been lost in a
    power cut.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        held = hold(entry)
        record = read_record(entry)
        if record.boot in ("", this_boot()) and all(
            (held.path / file.path).stat().st_size == file.size for file in record.files
        ):
            return held
    return None


def take_away(entry: Path, target: Path) -> bool:
    """Rename an entry that nobody holds; False where somebody does.

    Raises:
        OSError: it is not there, or cannot be renamed.
    """
    descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _has_name(descriptor, entry):
            return False
        entry.rename(target)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def used_at(entry: Path) -> float:
    """Tell when an entry was last used, in seconds since 1970.

    Raises:
        OSError: it is not there.
    """
    return model_folder(entry).stat().st_mtime


def is_held(entry: Path) -> bool:
    """Tell whether somebody holds an entry now.

    Raises:
        OSError: it is not there.
    """
    descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def this_boot() -> str:
    """Identify this run of the machine: a power cut may have cost what an earlier one wrote."""
    try:
        return _BOOT.read_text().strip()
    except OSError:  # no Linux
        return ""


def _write(entry: Path, record: Record) -> None:
    new = entry / f"{_RECORD}.new"
    new.write_text(json.dumps(asdict(record)), encoding="utf-8")
    new.replace(entry / _RECORD)


def _describe(path: Path, folder: Path) -> CachedFile:
    found = path.lstat()
    linked = stat.S_ISLNK(found.st_mode) or found.st_nlink > 1
    return CachedFile(path.relative_to(folder).as_posix(), path.stat().st_size, linked)


def _has_name(descriptor: int, entry: Path) -> bool:
    """Tell whether an open folder still has its name: while the lock was waited for it may
    have been taken away, and another one built."""
    return os.path.samestat(os.fstat(descriptor), entry.stat())


def _let_go(descriptor: int) -> None:
    _touch(descriptor)
    os.close(descriptor)


def _touch(descriptor: int) -> None:
    now = time.time_ns()  # finer than the file system's own
    with suppress(OSError):  # another user made it
        os.utime(_MODEL, ns=(now, now), dir_fd=descriptor)
