"""A bucket in memory that counts what it is asked, for several processes' worth of users."""

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from store.s3_bucket import Bucket, StoredObject


class MemoryBucket(Bucket):
    """Objects that all buckets share which were made from one another."""

    def __init__(self, other: "MemoryBucket | None" = None) -> None:
        super().__init__("memory", "", 1)
        self.objects: dict[str, tuple[StoredObject, bytes]] = other.objects if other else {}
        self.asked: list[str] = []
        self.failing = ""
        """Reads of paths that begin so fail, once."""

    def counted(self) -> list[str]:
        """Give what was asked since the last time."""
        asked, self.asked = self.asked, []
        return asked

    def find(self, path: str) -> StoredObject | None:
        self.asked.append(f"find {path}")
        return self.objects[path][0] if path in self.objects else None

    def get(self, path: str) -> tuple[StoredObject, bytes] | None:
        self.asked.append(f"get {path}")
        if self.failing and path.startswith(self.failing):
            self.failing = ""
            raise TimeoutError
        return self.objects.get(path)

    def put(self, path: str, content: bytes) -> None:
        self.asked.append(f"put {path}")
        etag = hashlib.md5(content).hexdigest()
        written = StoredObject(path, len(content), etag, datetime.fromtimestamp(time.time(), UTC))
        self.objects[path] = (written, content)

    def delete(self, path: str, *, hasty: bool = False) -> None:
        self.asked.append(f"delete {path}")
        self.objects.pop(path, None)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        self.asked.append(f"list {prefix}")
        for path in sorted(self.objects):
            if path.startswith(prefix) and path in self.objects:
                yield self.objects[path][0]
