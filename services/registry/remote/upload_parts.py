"""A blob cut into the parts in which it is sent to another registry."""

from dataclasses import dataclass

# A part that breaks off may cost all of the upload: Docker's registry goes on between parts
# alone. Others keep each part as an object of a bucket, which may have ten thousand.
_PARTS = 256
_SMALLEST = 16_000_000
_LARGEST = 1_000_000_000


@dataclass(frozen=True)
class Part:
    """The bytes of a blob from `start` up to but not including `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start

    @property
    def content_range(self) -> str:
        """The value of the header, which takes no unit here."""
        return f"{self.start}-{self.end - 1}"


def next_part(size: int, offset: int) -> Part:
    """Give the part that begins at `offset`, of a blob of `size` bytes."""
    length = min(max(size // _PARTS, _SMALLEST), _LARGEST)
    return Part(offset, min(offset + length, size))
