"""A SHA-256 that remembers its state after each part of a blob."""

from store.sha256 import ResumableSha256
from store.upload import Bytes


class CheckpointedSha256:
    """Hashes a blob whose parts all have one size, from the end of any part on."""

    def __init__(self, sha256: ResumableSha256, part_size: int, parts: int) -> None:
        self._sha256 = sha256
        self._part_size = part_size
        self._hashed = parts * part_size
        self._states: dict[int, bytes] = {}

    def update(self, data: Bytes) -> None:
        """Consume bytes."""
        rest = memoryview(data)
        while rest:
            room = self._part_size - self._hashed % self._part_size
            self._sha256.update(rest[:room])
            self._hashed += len(rest[:room])
            rest = rest[room:]
            if self._hashed % self._part_size == 0:
                self._states[self._hashed // self._part_size] = self._sha256.export()

    def hexdigest(self) -> str:
        """Give the digest of all that was consumed."""
        return self._sha256.hexdigest()

    def state_after(self, parts: int) -> tuple[int, bytes] | None:
        """Give the last state known after at most so many parts, with their number."""
        known = [number for number in list(self._states) if number <= parts]
        return (max(known), self._states[max(known)]) if known else None
