"""How far a kept upload has come, as an object in the bucket; and who writes it here."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from threading import Lock

from botocore.exceptions import ClientError

from common.digests import hex_digits
from store.s3_bucket import Bucket, StoredObject
from store.s3_errors import is_aborted, is_missing, is_unsupported
from store.s3_multipart import abort_multipart
from store.s3_wanted import blob_path

_PREFIX = "uploads/kept-"
_PATH = re.compile(r"uploads/kept-([0-9a-f]{64})-[0-9]+")


@dataclass(frozen=True)
class KeptState:
    """The parts of a multipart upload that are stored, and the hash after them."""

    upload_id: str
    part_size: int
    etags: list[str] = field(default_factory=list)
    sha256: str = ""
    """What `ResumableSha256.export` gave, in hexadecimal digits."""

    @property
    def committed_size(self) -> int:
        """Bytes that need not be sent again."""
        return self.part_size * len(self.etags)


class KeptStates:
    """The states of the kept uploads in a bucket, one for each digest and size."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def path(self, digest: str, size: int) -> str:
        """Name the object of a state."""
        return f"{_PREFIX}{hex_digits(digest)}-{size}"

    def load(self, path: str) -> KeptState | None:
        """Read a state; None where there is none, or one that is not ours."""
        if got := self._bucket.get(path):
            with suppress(ValueError, TypeError):
                state = KeptState(**json.loads(got[1]))
                bytes.fromhex(state.sha256)
                return state
        return None

    def load_usable(self, digest: str, size: int) -> KeptState | None:
        """Read the state of an upload that can still go on."""
        state = self.load(self.path(digest, size))
        return state if state and self._is_alive(digest, state.upload_id) else None

    def save(self, path: str, state: KeptState) -> None:
        """Write a state."""
        self._bucket.put(path, json.dumps(asdict(state)).encode())

    def remove(self, path: str, upload_id: str) -> None:
        """Remove the state of an upload, unless it is another's by now."""
        state = self.load(path)
        if state and state.upload_id == upload_id:
            self._bucket.delete(path)

    def discard(self, digest: str, path: str) -> None:
        """Remove a state together with the parts that it names."""
        if state := self.load(path):
            abort_multipart(self._bucket, blob_path(digest), state.upload_id)
            self._bucket.delete(path)

    def all(self) -> Iterator[tuple[str, StoredObject]]:
        """Give the digest and the object of every state."""
        for entry in self._bucket.list(_PREFIX):
            if match := _PATH.fullmatch(entry.path):
                yield f"sha256:{match[1]}", entry

    def _is_alive(self, digest: str, upload_id: str) -> bool:
        try:
            self._bucket.client.list_parts(
                Bucket=self._bucket.name,
                Key=self._bucket.key(blob_path(digest)),
                UploadId=upload_id,
                MaxParts=1,
            )
        except ClientError as error:
            if is_aborted(error) or is_missing(error) or is_unsupported(error):
                return False
            raise
        return True


class Writers:
    """Which kept uploads this process is writing, through whichever store object."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._writing: set[str] = set()

    def enter(self, name: str) -> bool:
        """Become the writer of an upload; False if there is one."""
        with self._lock:
            is_free = name not in self._writing
            self._writing.add(name)
            return is_free

    def leave(self, name: str) -> None:
        """Let others write."""
        with self._lock:
            self._writing.discard(name)

    def __contains__(self, name: str) -> bool:
        with self._lock:
            return name in self._writing


WRITERS = Writers()
