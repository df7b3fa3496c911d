"""One model in the cache: `model/`, the folder that engines read, and `record.json` beside it.

The kernel's lock on an entry says that it is in use. It moves with the entry when that is
renamed, and goes with the process that holds it.
"""

import fcntl
import json
import os
import weakref
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from protos.paddock.v1 import model_pb2

_MODEL = "model"
_RECORD = "record.json"


@dataclass(frozen=True)
class CachedFile:
    """Where one file of an entry came from."""

    path: str
    digest: str
    linked: bool
    """It is the store's own file; else it is a copy."""


@dataclass(frozen=True)
class Record:
    """What an entry was made of."""

    name: str
    files: list[CachedFile]


class HeldFolder:
    """A model's folder that nobody removes before it is released."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.release = weakref.finalize(self, os.close, descriptor)
        """Lets it go; so does forgetting this object."""


def model_folder(entry: Path) -> Path:
    """Give the folder with the files."""
    return entry / _MODEL


def write_record(entry: Path, record: Record) -> None:
    """Note what an entry is made of."""
    (entry / _RECORD).write_text(json.dumps(asdict(record)), encoding="utf-8")


def read_record(entry: Path) -> Record:
    """Tell what an entry is made of.

    Raises:
        OSError, ValueError, KeyError, TypeError: it has no record, or none that can be read.
    """
    record = json.loads((entry / _RECORD).read_bytes())
    return Record(record["name"], [CachedFile(**file) for file in record["files"]])


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
    return held


def hold_whole(entry: Path, spec: model_pb2.ModelSpec) -> HeldFolder | None:
    """Hold an entry that has all files of a model; None where there is none.

    Files that were linked may have left the store since.
    """
    with suppress(OSError):
        held = hold(entry)
        if all((held.path / file.path).stat().st_size == file.size for file in spec.files):
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


def _has_name(descriptor: int, entry: Path) -> bool:
    """Tell whether an open folder still has its name: while the lock was waited for it may
    have been taken away, and another one built."""
    return os.path.samestat(os.fstat(descriptor), entry.stat())
